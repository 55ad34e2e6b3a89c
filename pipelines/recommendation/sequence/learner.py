"""How models of what comes next learn."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from horngate.models.recommendation.sequence_learning import SequenceSettings, followed
from horngate.models.recommendation.settings import Learnt
from horngate.pipelines.recommendation.interactions.inspection import LogInspection
from horngate.pipelines.recommendation.interactions.splits import TEST
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval.learner import RecommenderLearner
from horngate.pipelines.recommendation.retrieval.selection import ModelSelection, Selected
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress

MODELS = ("sasrec", "gru4rec")
KNOBS = ("seed", "max_length", "repeats", "dimension", "blocks", "dropout", "negatives")
KNOBS += ("epochs", "batch_size", "learning_rate")


class SequenceLearner(RecommenderLearner):
    """Learns `horngate recommendation sequence`."""

    def select(self, store: InteractionStore, seen: LogInspection, run: Run) -> Selected:
        if int(np.diff(store.train.indptr).max(initial=0)) < 2:
            raise UserError(
                "nobody has more than one interaction to learn from, so that nothing follows on anything; give longer "
                "histories, or take `horngate recommendation retrieve`"
            )
        again = _again(store)
        if again and not self.card.repeats:
            progress.notice(
                f"{again:,} interactions of the test repeat what the user met before; these are masked and count as "
                "missed. Where users come back to items, give --repeats"
            )
        found = SequenceSelection(self.task, store, run).select()
        said = {"looks_back_on": self.card.max_length, "test_interactions_that_repeat": again}
        return replace(found, protocol=found.protocol | said)

    def past(self, split: str) -> csr_array:
        return self.task.fitted.decisions.seen(split)


def _again(store: InteractionStore) -> int:
    """Return how many interactions of the test are with items that the user had met before."""
    pairs = store.log.user.astype(np.int64) * len(store.log.items) + store.log.item
    return int(np.isin(pairs[store.sides == TEST], pairs[store.sides < TEST]).sum())


class SequenceSelection(ModelSelection):
    """Selects among networks that read what users met in its order."""

    def contenders(self) -> tuple[str, ...]:
        if self.card.model != "auto":
            return (self.card.model,)
        if not self.judged:
            progress.notice(f"no validation rows to choose a model on: {MODELS[0]} is taken")
            return MODELS[:1]
        return MODELS

    def learn(self, name: str, phase: str, epochs: int | None) -> Learnt:
        knobs = {knob: getattr(self.card, knob) for knob in KNOBS}
        knobs |= {} if epochs is None else {"epochs": epochs, "exactly": True}
        lists, held = self.lists()
        with self.monitor() as policy:
            return followed(name, lists, held, SequenceSettings(phase=phase, **knobs), policy)
