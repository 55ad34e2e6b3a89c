"""Made-up views of items by users, for samples of which it is known what the best possible answer scores."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.sources.blocks import block

USERS, ITEMS, ROWS = 150, 60, 6000
SEGMENTS = ("student", "worker", "retired")
GENRES = ("comedy", "drama", "horror", "sport", "travel")
DEVICES = ("phone", "tablet", "desktop")


def views(seed: int) -> tuple[np.random.Generator, list[dict[str, Any]], np.ndarray]:
    """Return the draw, the cells of views, and how much each user is taken by the item."""
    draw = np.random.default_rng(seed)
    segment, age = draw.integers(0, len(SEGMENTS), USERS), draw.integers(16, 80, USERS)
    genres = np.zeros((ITEMS, len(GENRES)), bool)
    for item in range(ITEMS):
        genres[item, draw.permutation(len(GENRES))[: draw.integers(1, 4)]] = True
    price, liking = draw.gamma(2.0, 5.0, ITEMS), draw.normal(0, 1.5, (len(SEGMENTS), len(GENRES)))
    bias_user, bias_item = draw.normal(0, 0.7, USERS), draw.normal(0, 0.7, ITEMS)
    user = draw.choice(USERS, ROWS, p=_skewed(USERS))
    item = draw.choice(ITEMS, ROWS, p=_skewed(ITEMS))
    device = draw.integers(0, len(DEVICES), ROWS)
    shares = genres / genres.sum(1, keepdims=True)
    taste = bias_user[user] + bias_item[item] + (liking[segment[user]] * shares[item]).sum(1)
    taste = taste - 0.05 * (price[item] - 10) * (60 - age[user]) / 30
    known = draw.random(USERS) > 0.1  # the age of others isn't known
    cells = [
        {
            "user_id": f"u{one}",
            "item_id": f"i{two}",
            "segment": SEGMENTS[segment[one]],
            "age": int(age[one]) if known[one] else None,
            "genres": [name for name, there in zip(GENRES, genres[two], strict=True) if there],
            "price": round(float(price[two]), 2),
            "device": DEVICES[place],
        }
        for one, two, place in zip(user.tolist(), item.tolist(), device.tolist(), strict=True)
    ]
    return draw, cells, taste


def _skewed(count: int) -> np.ndarray:
    """Return probabilities of ids, the first ones more often met than the last."""
    weights = 1 / (np.arange(count) + 10)
    return weights / weights.sum()


def block_of(cells: list[dict[str, Any]], targets: list[str], oracle: np.ndarray) -> pa.Table:
    """Return views as a block, with what the best possible answer to each is."""
    columns = {"id": [f"view-{row:04d}" for row in range(ROWS)], "value": [json.dumps(row).encode() for row in cells]}
    return block(columns | {"target": targets}, {"oracle": [f"{value:.6f}" for value in oracle]})
