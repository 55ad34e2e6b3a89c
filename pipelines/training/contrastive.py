"""Pairs of labelled rows, for learning an encoder from few examples by contrast."""

from functools import lru_cache

import numpy as np

from horngate.pipelines.training.rows import ReadRows

SHOWN = 640  # rows that an encoder sees at least, where its epochs are not given
MOST_EPOCHS = 10


class LabelPairs:
    """Each row with another one that has a label of its, drawn anew each epoch; all other rows of a batch are the contrast.

    A row whose label no other row has is paired with itself; dropout makes two views of it. For few examples such pairs
    teach more than the examples do one by one (SetFit, Tunstall et al. 2022, arXiv 2209.11055).

    Args:
        rows: labelled rows.
        seed: with the epoch, of the draws.

    Attributes:
        count: one pair for each row.
        lengths: of the first row of each pair, where tensors are uneven; else None.
    """

    def __init__(self, rows: ReadRows, seed: int):
        self.rows, self.seed, self.count, self.lengths = rows, seed, rows.count, rows.lengths
        self.partners = lru_cache(2)(self._partners)

    @property
    def epochs(self) -> int:
        """How often all rows are paired, where it isn't given: the fewer rows there are, the more often."""
        return int(np.clip(-(-SHOWN // (2 * self.count)), 1, MOST_EPOCHS))

    def batch(self, places: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs `[n, ..., 2]`, targets of both float32 `[n, classes, 2]` and None."""
        both = np.concatenate([places, self.partners(epoch or 0)[places]])
        inputs, targets, _ = self.rows.batch(both, epoch)
        inputs, targets = (np.stack(np.split(values, 2), axis=-1) for values in (inputs, targets))
        return inputs, targets, None

    def _partners(self, epoch: int) -> np.ndarray:
        """Return for each row another one that has one of its labels, the label drawn first."""
        draw = np.random.default_rng((self.seed, epoch, self.count))
        marked = self.rows.targets > 0
        shared = (marked * draw.random(marked.shape)).argmax(1)
        members = [np.flatnonzero(column) for column in marked.T]
        found = np.arange(self.count)
        for row in np.flatnonzero(marked.any(1)):
            others = members[shared[row]][members[shared[row]] != row]
            found[row] = draw.choice(others) if len(others) else row
        return found
