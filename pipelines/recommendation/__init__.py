"""Recommendation: cards of its tasks."""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.card import Data, Optimisation, Option, knob

SIDES = {
    "users": Option(str, "Table of users beside those that the run knows; its rows come first."),
    "items": Option(str, "Table of items beside those that the run knows; its rows come first."),
}


@dataclass(frozen=True, kw_only=True)
class Rank(Optimisation, Data):
    """Score rows of users, items and whatever else is known: how likely a click is, or which rating to expect."""

    tabular = True
    roles = {
        "target": ("target", "label", "click", "clicked", "rating", "stars", "score"),
        "user": ("user", "user_id", "userid", "userId", "visitor", "customer", "customer_id", "reviewerID"),
        "item": (
            "item",
            "item_id",
            "itemid",
            "itemId",
            "product",
            "product_id",
            "movie",
            "movie_id",
            "movieId",
            "asin",
        ),
        "time": ("time", "timestamp", "datetime", "date", "unixReviewTime"),
    }
    optional = ("user", "item", "time")
    truth = ("target", "user", "item", "time")
    featured = ("user", "item")
    door = "recommendation.targets"
    belonging = ("users", "items")
    looking = (
        "feature_column",
        "drop_column",
        "category_column",
        "list_separator",
        "users",
        "items",
        "kind",
        "positive",
    )
    metrics = ("auroc", "gauc", "log_loss", "ece", "rmse", "mae")
    recipes = {
        "tiny": {"data": "sample:made-up-clicks", "model": "deepfm", "epochs": 2, "embedding": 4},
        "made-up-clicks": {"data": "sample:made-up-clicks"},
        "made-up-ratings": {"data": "sample:made-up-ratings"},
        "quick": {"model": "deepfm", "epochs": 3},
        "thorough": {"refit": True, "members": 4},
    }
    options = {"evaluate": SIDES, "predict": SIDES}

    target_column: str | None = knob(
        None, "Column of clicks or ratings; default: target, label, click, clicked, rating, stars or score."
    )
    user_column: str | None = knob(None, "Column of users; default: user, user_id or the like, or none.")
    item_column: str | None = knob(None, "Column of items; default: item, item_id or the like, or none.")
    time_column: str | None = knob(
        None, "Column of times: ISO 8601, or numbers; default: time, timestamp or date, or none."
    )
    users: str | None = knob(None, "Table of what is known of users, joined by their id.")
    items: str | None = knob(None, "Table of what is known of items, joined by their id.")
    feature_column: tuple[str, ...] | None = knob(
        None, "Column to learn from, beside users and items; default: all that play no other role."
    )
    drop_column: tuple[str, ...] | None = knob(None, "Column to leave out, also of the tables of users and items.")
    category_column: tuple[str, ...] | None = knob(
        None, "Column of names that look like numbers; users, items and columns called …_id are anyway."
    )
    list_separator: str | None = knob(None, "Character between several values of one cell, such as |.")
    rarest: int = knob(1, "Categories in fewer training rows than this count as never seen.", low=1)
    split_rule: Literal["random", "time-cut"] = knob(
        "random", "How missing splits are made: at random, or the latest rows are held out."
    )
    kind: Literal["auto", "click", "rating"] = knob(
        "auto", "What the target is; auto: a click where there are two values, a rating where all are numbers."
    )
    positive: str | None = knob(None, "Of two targets, the one that counts as a click; default: the last by name.")
    model: Literal["auto", "dcn", "deepfm"] = knob(
        "auto", "The network: DCN-v2 or DeepFM; auto learns both and keeps the one that is better on validation."
    )
    embedding: int = knob(16, "Length of the vector of a category.", low=1, high=1024)
    decay: float | None = knob(
        None, "Share by which weights shrink in an epoch; default: 0.28 for DeepFM, 0.14 for DCN-v2.", low=0.0
    )
    dropout: float = knob(0.2, "Share of the deep network's units that is left out at random.", low=0.0, high=0.9)
    forget: float = knob(
        0.01,
        "Share of categories that count as never seen at random, so that new ones can be answered.",
        low=0.0,
        high=0.5,
    )
    members: int = knob(1, "Networks that are learnt from different starts and averaged.", low=1, high=16)
    refit: bool = knob(False, "Learn once more on training and validation rows after everything is chosen.")
