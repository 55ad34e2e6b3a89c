"""Recommendation: cards of its tasks."""

from dataclasses import dataclass, replace
from typing import Literal

from horngate.pipelines.spec.card import Data, Optimisation, Option, ThroughTensorFlow, knob
from horngate.pipelines.spec.rows import RowSpec

USER = ("user", "user_id", "userid", "userId", "visitor", "customer", "customer_id", "reviewerID")
ITEM = ("item", "item_id", "itemid", "itemId", "product", "product_id", "movie", "movie_id", "movieId", "asin")
TIME = ("time", "timestamp", "datetime", "date", "unixReviewTime")
CUTS = (5, 10, 20)
BY_RANK = tuple(
    f"{name}_at_{cut}" for cut in (10, 5, 20) for name in ("ndcg", "recall", "hit_rate", "mrr", "precision")
)


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """Knobs of what learns from a log of interactions: who met what, and when."""

    rows = RowSpec(
        loader="recommendation.interactions.loader",
        roles={"user": USER, "item": ITEM, "time": TIME, "weight": ("weight",)},
        optional=("time", "weight"),
        truth=("item", "time", "weight"),
    )
    timeless = "per-user"  # how splits are made where there is no time
    check_knobs = ("min_user", "min_item")
    retired = {"class_weights": "none"}
    metrics = (*BY_RANK, "coverage_at_10", "gini_at_10", "novelty_at_10")
    options = {
        "evaluate": {
            "sampled": Option(
                int, "Rank against so many drawn items, not against all; such scores compare with no others.", 1
            ),
        },
        "predict": {
            "k": Option(int, "Items for each user; default: 20.", 1, 1000),
            "include_seen": Option(bool, "Recommend also what a user has met already."),
            "exclude_seen": Option(bool, "Leave out what a user has met already; that is the default."),
            "candidates": Option(str, "A table or list of the only items to choose from."),
            "why": Option(bool, "Add, for each item, those of the user's past items that are nearest to it."),
        },
    }

    user_column: str | None = knob(None, "Column of users; default: user, user_id or the like.")
    item_column: str | None = knob(None, "Column of items; default: item, item_id or the like.")
    time_column: str | None = knob(
        None, "Column of times: ISO 8601, or numbers since 1970; default: time, timestamp or date, or none."
    )
    weight_column: str | None = knob(
        None, "Column of numbers above 0, how much an interaction counts; default: weight, or none."
    )
    min_user: int = knob(1, "Leave out users with fewer interactions, again and again with --min-item.", low=1)
    min_item: int = knob(1, "Leave out items with fewer interactions, again and again with --min-user.", low=1)
    split_rule: Literal["auto", "time-cut", "per-user", "leave-one-out"] = knob(
        "auto",
        "How missing splits are made: at one moment for all users, a random share of each user, or the last item of each "
        "user; auto: time-cut where there is time, else per-user.",
    )


@dataclass(frozen=True, kw_only=True)
class Retrieve(Interactions, ThroughTensorFlow, Data):
    """Recommend what a user should see next, learnt from a log of users and items."""

    rows = replace(Interactions.rows, belonging=("users", "items"))
    check_knobs = (*Interactions.check_knobs, "users", "items")
    recipes = {
        "tiny": {"data": "sample:made-up-readers", "model": "mf", "epochs": 3, "dimension": 16},
        "made-up-readers": {"data": "sample:made-up-readers"},
    }

    users: str | None = knob(None, "A table of side features of users; its user column joins them.")
    items: str | None = knob(None, "A table of side features of items; its item column joins them.")
    model: Literal["auto", "mf", "towers", "multvae", "lightgcn", "ease"] = knob(
        "auto",
        "What scores the items; auto: the best of mf, multvae and lightgcn (with side features also towers) by "
        "ndcg_at_10 on validation.",
    )
    dimension: int | None = knob(None, "Numbers that stand for a user and for an item; default: by the model.", low=1)
    temperature: float | None = knob(
        None, "What cosines are divided by in the softmax; default: 1.5 / log(items).", low=0.01
    )
    negatives: int | None = knob(
        None, "Items drawn for the softmax; default: all of them, of more than 60,000 so many as 8,192.", low=1
    )
    correction: float | None = knob(
        None, "Share of an item's log-popularity that scores are relieved of while learning.", low=0.0, high=1.0
    )
    layers: int | None = knob(None, "Steps of propagation of lightgcn; default: 2.", low=0, high=8)
    dropout: float | None = knob(None, "Share of past items hidden from multvae; default: 0.5.", low=0.0, high=0.95)
    refit: bool = knob(
        False, "Learn once more from training and validation rows, for as long as was best on validation."
    )


@dataclass(frozen=True, kw_only=True)
class Sequence(Interactions, ThroughTensorFlow, Data):
    """Recommend what a user will want next, from what the user met last and in which order."""

    retired = {**Interactions.retired, "users": None, "items": None}
    timeless = "leave-one-out"
    options = {
        **Interactions.options,
        "predict": {
            **Interactions.options["predict"],
            "histories": Option(str, "A log of what users met since, or of users whom the run doesn't know."),
        },
    }
    recipes = {
        "tiny": {
            "data": "sample:made-up-listeners",
            "model": "sasrec",
            "epochs": 2,
            "dimension": 16,
            "blocks": 1,
            "max_length": 12,
        },
        "made-up-listeners": {"data": "sample:made-up-listeners"},
    }

    split_rule: Literal["auto", "time-cut", "leave-one-out"] = knob(
        "auto",
        "How missing splits are made: at one moment for all users, or the last item of each user; auto: time-cut where "
        "there is time, else leave-one-out.",
    )
    model: Literal["auto", "sasrec", "gru4rec"] = knob(
        "auto", "What reads a user's items; auto: the better one by ndcg_at_10 on validation."
    )
    max_length: int = knob(50, "How many of a user's last items are looked back on.", low=1, high=1000)
    dimension: int | None = knob(None, "Numbers that stand for an item; default: 64.", low=1)
    blocks: int | None = knob(None, "Layers of the network; default: 2 of sasrec, 1 of gru4rec.", low=1, high=12)
    dropout: float | None = knob(
        None,
        "Share of numbers hidden while learning; default: 0.5, of histories of 20 items and more 0.2.",
        low=0.0,
        high=0.95,
    )
    negatives: int | None = knob(
        None, "Items drawn for the softmax; default: all of them, of more than 30,000 so many as 4,096.", low=1
    )
    repeats: bool = knob(
        False,
        "Rank what a user has met before as well, in evaluation and prediction: for music, groceries and the like.",
    )
    refit: bool = knob(
        False, "Learn once more from training and validation rows, for as long as was best on validation."
    )


SIDES = {
    "users": Option(str, "Table of users beside those that the run knows; its rows come first."),
    "items": Option(str, "Table of items beside those that the run knows; its rows come first."),
}


@dataclass(frozen=True, kw_only=True)
class Rank(Optimisation, Data):
    """Score rows of users, items and whatever else is known: how likely a click is, or which rating to expect."""

    rows = RowSpec(
        input="row",
        loader="recommendation.rank.rows",
        roles={
            "target": ("target", "label", "click", "clicked", "rating", "stars", "score"),
            "user": USER,
            "item": ITEM,
            "time": TIME,
        },
        optional=("user", "item", "time"),
        truth=("target", "user", "item", "time"),
        featured=("user", "item"),
        repeating=True,
        belonging=("users", "items"),
    )
    retired = {"class_weights": "none"}
    check_knobs = (
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
