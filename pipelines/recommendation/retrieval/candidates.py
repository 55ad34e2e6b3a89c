"""What the lists of users may hold, under the card and the options of a verb."""

from typing import TYPE_CHECKING

import numpy as np

from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.tasks.task import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Candidates:
    """What is left out of lists, and what those held out are ranked against.

    Attributes:
        with_seen: whether a user is shown again what was met before.
        sampled: how many drawn items those held out are ranked against; None for all there are.
    """

    def __init__(self, task: Task):
        self.store: InteractionStore = task.fitted.decisions
        self.seed, options = task.card.seed, task.options
        again = getattr(task.card, "repeats", False) and not options.get("exclude_seen")
        self.with_seen = bool(options.get("include_seen") or again)
        self.sampled: int | None = options.get("sampled")

    def masked(self, split: str | None) -> "csr_array":
        """Return what is left out of lists, `[users, items]`: all that came before, or nothing where it may come again."""
        return self.store.seen("train" if self.with_seen else split)

    def drawn(self, users: np.ndarray, targets: list[str], seen: "csr_array") -> "csr_array | None":
        """Return what those held out of users are ranked against, as of `ranked_lists.drawn`; None for all there are.

        Args:
            users: codes int64 `[n]`, -1 where unknown.
            targets: JSON lists of what was held out.
        """
        if self.sampled is None:
            return None
        held = self.store.items_in(targets)
        return ranked_lists.drawn(users, held, seen, self.store.rankable, self.sampled, self.seed)
