"""Who met what, as models take it: compressed rows, padded lists, and the rows that they learn from."""

from dataclasses import dataclass

import numpy as np

LONGEST = 512  # items of a user that one step learns from; of more, others in each epoch


@dataclass(frozen=True)
class Lists:
    """Who met what: compressed rows of item codes, one row for each user.

    Attributes:
        offsets: int64 `[users + 1]`.
        items: int32 codes.
        weights: float32, of each, or None.
        count: how many items there are.
    """

    offsets: np.ndarray
    items: np.ndarray
    count: int
    weights: np.ndarray | None = None

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.offsets) - 1

    def of(self, user: int) -> np.ndarray:
        """Return the codes of one user's items."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def padded(self, users: np.ndarray, length: int, draw: np.random.Generator | None = None) -> np.ndarray:
        """Return int32 `[n, length]`: code + 1 of the items of some users, 0 behind their end.

        Args:
            draw: chooses among the items of users who have more; without it the last ones stand there.
        """
        starts, ends = self.offsets[users], self.offsets[users + 1]
        sizes = np.minimum(ends - starts, length)
        rows = np.repeat(np.arange(len(users)), sizes)
        places = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = np.zeros((len(users), length), np.int32)
        found[rows, places] = self.items[np.repeat(ends - sizes, sizes) + places] + 1
        for row in np.flatnonzero(ends - starts > length) if draw is not None else ():
            found[row] = draw.choice(self.of(int(users[row])), length, replace=False) + 1
        return found

    @property
    def longest(self) -> int:
        """The length of the longest row."""
        return int(np.diff(self.offsets).max(initial=0))


class UserRows:
    """Training rows: each is a user, and its target the items that the user met.

    Args:
        history: whether inputs are those items too, and not the users' codes.
        negatives: how many items a step's softmax is over, beside those of its users; None for all there are.
    """

    def __init__(self, lists: Lists, history: bool, seed: int, negatives: int | None = None):
        self.lists, self.history, self.seed, self.negatives = lists, history, seed, negatives
        self.users = np.flatnonzero(np.diff(lists.offsets) > 0)
        self.length, self.count = min(lists.longest, LONGEST), len(self.users)
        self.share = np.bincount(lists.items, minlength=lists.count) / max(len(lists.items), 1)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets as `Ranker` takes them, and no weights."""
        users = self.users[rows]
        draw = np.random.default_rng((self.seed, epoch or 0, int(rows[0])))
        items = self.lists.padded(users, self.length, draw)
        if self.history:
            return items, items, None
        if self.negatives is None:
            return users.astype(np.int32), items, None
        return self._sampled(users.astype(np.int32), items, draw)

    def _sampled(self, users: np.ndarray, items: np.ndarray, draw: np.random.Generator) -> tuple:
        """Return users, the items of this step and their chances to be among them; targets are places in these items.

        Half of the places are for items of the users; those beyond are left out of the targets. The others are drawn as
        often as they stand in the log.
        """
        own = np.unique(items[items > 0] - 1)
        own = np.sort(draw.permutation(own)[: self.negatives])
        size = min(2 * self.negatives, self.lists.count)
        drawn = np.setdiff1d(self.lists.items[draw.integers(0, len(self.lists.items), 4 * size)], own)
        drawn = draw.permutation(drawn)[: size - len(own)]
        rest = (
            np.setdiff1d(np.arange(self.lists.count), np.concatenate([own, drawn]))
            if len(own) + len(drawn) < size
            else own[:0]
        )
        chosen = np.sort(np.concatenate([own, drawn, draw.permutation(rest)[: size - len(own) - len(drawn)]]))
        place = np.searchsorted(chosen, items - 1)
        place = np.where((items > 0) & (chosen[np.minimum(place, size - 1)] == items - 1), place + 1, 0)
        chance = -np.expm1(-size * np.maximum(self.share[chosen], 1e-12))
        return (users, chosen.astype(np.int32), chance.astype(np.float32)), place.astype(np.int32), None


class HeldRows:
    """Validation rows: users with what was held out of them, and what is masked since they met it before."""

    def __init__(self, lists: Lists, held: Lists, history: bool, sampled: bool = False):
        self.lists, self.held, self.history, self.sampled = lists, held, history, sampled
        self.users = np.flatnonzero((np.diff(held.offsets) > 0) & (np.diff(lists.offsets) > 0))
        self.count = len(self.users)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets as `Ranker` takes them, and no weights."""
        users = self.users[rows]
        past = self.lists.padded(users, self.lists.longest)
        targets = np.concatenate([self.held.padded(users, self.held.longest), -past], axis=1)
        if self.history:
            return past, targets, None
        users = users.astype(np.int32)
        if self.sampled:
            items = np.arange(self.lists.count, dtype=np.int32)
            return (users, items, np.ones(len(items), np.float32)), targets, None
        return users, targets, None
