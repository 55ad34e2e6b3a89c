"""The sample `made-up-ratings`: ratings of items by users, with the rating to expect of each."""

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from horngate.pipelines.data.samples._views import ROWS, block_of, views


def table() -> pa.Table:
    """Return 6,000 made-up ratings from 1 to 5 of 60 items by 150 users.

    A rating is a sum as that of `made-up-clicks` with noise of spread 0.6, rounded; `oracle` is the rating to expect.
    """
    draw, cells, taste = views(2)
    centre = 3.2 + 0.7 * taste
    given = np.clip(np.round(centre + 0.6 * draw.normal(size=ROWS)), 1, 5).astype(int)
    steps = [norm.sf((edge - centre) / 0.6) for edge in (1.5, 2.5, 3.5, 4.5)]
    return block_of(cells, [str(one) for one in given], 1 + np.sum(steps, 0))
