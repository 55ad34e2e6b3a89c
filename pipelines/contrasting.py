"""Pairs of labelled rows, for learning an encoder from few examples by contrast."""

from functools import lru_cache

import numpy as np

from horngate.pipelines.data.reading import ReadRows

PAIRS = 1280  # that an encoder sees at least, where its epochs are not given
MOST_EPOCHS = 20
TRIES = 20  # draws of a partner without a common label


class LabelPairs:
    """Rows in pairs that are drawn anew each epoch: each row once with one of its label, once with one of another.

    A pair's score is the share of labels that both have of those that one has: 1 or 0 where a row has one label. A row
    whose label no other row has is paired with itself; dropout makes two views of it. After SetFit (Tunstall et al. 2022,
    arXiv 2209.11055).

    Args:
        rows: labelled rows.
        seed: with the epoch, of the draws.

    Attributes:
        count: two pairs for each row.
        lengths: of the first row of each pair, where tensors are uneven; else None.
    """

    def __init__(self, rows: ReadRows, seed: int):
        self.rows, self.seed, self.count = rows, seed, 2 * rows.count
        self.lengths = None if rows.lengths is None else np.tile(rows.lengths, 2)
        self.partners = lru_cache(2)(self._partners)

    @property
    def epochs(self) -> int:
        """How often all rows are paired, where it isn't given: the fewer rows there are, the more often."""
        return int(np.clip(-(-PAIRS // self.count), 1, MOST_EPOCHS))

    def batch(self, pairs: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs `[n, ..., 2]`, scores float32 `[n, 1]` and None."""
        firsts, seconds = pairs % self.rows.count, self.partners(epoch or 0)[pairs]
        inputs, targets, _ = self.rows.batch(np.concatenate([firsts, seconds]), epoch)
        one, other = np.split(targets > 0, 2)
        scores = (one & other).sum(1) / np.maximum((one | other).sum(1), 1)
        return np.stack(np.split(inputs, 2), axis=-1), scores[:, None].astype(np.float32), None

    def _partners(self, epoch: int) -> np.ndarray:
        draw = np.random.default_rng((self.seed, epoch, self.count))
        return np.concatenate([self._alike(draw), self._unlike(draw)])

    def _alike(self, draw: np.random.Generator) -> np.ndarray:
        """Return for each row another one that has one of its labels."""
        marked = self.rows.targets > 0
        shared = (marked * draw.random(marked.shape)).argmax(1)
        members = [np.flatnonzero(column) for column in marked.T]
        found = np.arange(self.rows.count)
        for row, label in enumerate(shared):
            others = members[label][members[label] != row] if marked[row].any() else ()
            found[row] = draw.choice(others) if len(others) else row
        return found

    def _unlike(self, draw: np.random.Generator) -> np.ndarray:
        """Return for each row one that has none of its labels, as far as chance finds one."""
        marked, rows = self.rows.targets > 0, np.arange(self.rows.count)
        found = draw.integers(0, len(rows), len(rows))
        for _ in range(TRIES):
            wrong = np.flatnonzero((marked & marked[found]).any(1) | (found == rows))
            if not len(wrong):
                break
            found[wrong] = draw.integers(0, len(rows), len(wrong))
        return found
