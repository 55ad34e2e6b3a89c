"""What a user will want next: models that read what the user met in its order."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from horngate.pipelines.recommendation.interactions.log_update import continued
from horngate.pipelines.recommendation.interactions.splits import TEST, TRAIN, VALIDATION
from horngate.pipelines.recommendation.retrieval.recommender import Recommender
from horngate.pipelines.recommendation.retrieval.selection import Contest, lists_of, lists_of_matrix
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import file_digest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from horngate.models.recommendation.interactions import Lists

MODELS = ("sasrec", "gru4rec")
KNOBS = ("seed", "max_length", "repeats", "dimension", "blocks", "dropout", "negatives")
KNOBS += ("epochs", "batch_size", "learning_rate")
HELD_PAIRS = 1 << 23  # of places in lists that are looked at together


class Sequences(Contest):
    """Learns the networks of a card, and says which is kept."""

    def contenders(self) -> tuple[str, ...]:
        if self.card.model != "auto":
            return (self.card.model,)
        if not (self.known.sides == VALIDATION).any():
            progress.notice(f"no validation rows to choose a model on: {MODELS[0]} is taken")
            return MODELS[:1]
        return MODELS

    def _learnt(self, name: str, phase: str, epochs: int | None) -> Any:
        from horngate.models.recommendation.sequence_learning import Wishes, followed
        from horngate.pipelines.training.phases import told

        sides, learnt = self.known.sides, TRAIN if epochs is None else VALIDATION
        lists = lists_of(self.known, sides <= learnt)
        held = lists_of(self.known, (sides == VALIDATION) & (learnt == TRAIN))
        wishes = {knob: getattr(self.card, knob) for knob in KNOBS} | {"phase": phase}
        wishes |= {} if epochs is None else {"epochs": epochs, "exactly": True}
        with told(self.task, at_least=0.0) as keeper:
            return followed(name, lists, held, Wishes(**wishes), keeper)


class Pipeline(Recommender):
    """`horngate recommendation sequence`."""

    repeats = True

    def __init__(self, card: Any):
        super().__init__(card)
        self.include_seen = card.repeats
        self.histories_of: tuple[Any, Lists] | None = None
        self.longest = card.max_length

    def learn(self, run: Run) -> dict[str, Any]:
        self.run = run
        if int(np.diff(self.known.train.indptr).max(initial=0)) < 2:
            raise UserError(
                "nobody has more than one interaction to learn from, so that nothing follows on anything; give longer "
                "histories, or take `horngate recommendation retrieve`"
            )
        again = self._again()
        if again and not self.card.repeats:
            progress.notice(
                f"{again:,} interactions of the test repeat what the user met before; these are masked and count as "
                "missed. Where users come back to items, give --repeats"
            )
        found = Sequences(self).held()
        found["protocol"] |= {"looks_back_on": self.card.max_length, "test_interactions_that_repeat": again}
        return found

    def _again(self) -> int:
        """Return how many interactions of the test are with items that the user had met before."""
        log, sides, count = self.known.log, self.known.sides, len(self.known.log.items)
        pairs = log.user.astype(np.int64) * count + log.item
        return int(np.isin(pairs[sides == TEST], pairs[sides < TEST]).sum())

    def scores(self, users: np.ndarray) -> np.ndarray:
        lists, longest = self.histories, self.longest
        width = min(longest, 1 << int(max(lists.longest, 1) - 1).bit_length())
        size = min(len(users), 1 << max(HELD_PAIRS // width**2, 1).bit_length() - 1)
        padded = lists.padded(users, width)
        parts = [self.forward(padded[at : at + size]) for at in range(0, len(users), size)]
        return np.concatenate(parts)

    @property
    def histories(self) -> "Lists":
        """What each user met before what is answered, in its order; items that were never learnt say nothing."""
        if self.histories_of is None or self.histories_of[0] is not self.past:
            self.histories_of = self.past, lists_of_matrix(self._learnt_of(self.past))
        return self.histories_of[1]

    def _learnt_of(self, past: "csr_array") -> "csr_array":
        from scipy.sparse import csr_array

        keep = self.rankable[past.indices]
        ends = np.concatenate([[0], np.cumsum(keep)])[past.indptr]
        return csr_array((past.data[keep], past.indices[keep], ends), shape=past.shape)

    def looked_at(self, split: str) -> "csr_array":
        return self.known.seen(split)

    def answerable(self, users: np.ndarray) -> np.ndarray:
        return (users >= 0) & (np.diff(self.histories.offsets) > 0)[users]

    def item_vectors(self) -> np.ndarray:
        from horngate.models.recommendation.retrieval import item_vectors

        return item_vectors(self.answers)

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        protocol = super().adjust(run, options)
        self.include_seen |= self.card.repeats and not options.get("exclude_seen")
        if options.get("histories"):
            self.known = continued(self.known, options["histories"], self.card)
            options["histories"] += f" ({file_digest(Path(options['histories']))})"  # a longer log answers otherwise
        return protocol
