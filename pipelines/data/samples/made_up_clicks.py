"""The sample `made-up-clicks`: views that were clicked or not, with the chance that each was."""

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.samples._views import ROWS, block_of, views


def table() -> pa.Table:
    """Return 6,000 made-up views of 60 items by 150 users, more than two fifths of them clicked.

    The logarithm of the odds of a click is a sum of what the user is like, what the item is like, how the user's segment
    likes the item's genres, and how far the price annoys the young; `oracle` is the probability that was thrown at.
    """
    draw, cells, taste = views(1)
    odds = 0.9 * taste - 1.6 + 0.5 * (np.array([row["device"] for row in cells]) == "phone")
    chances = 1 / (1 + np.exp(-odds))
    clicked = draw.random(ROWS) < chances
    return block_of(cells, [str(int(one)) for one in clicked], chances)
