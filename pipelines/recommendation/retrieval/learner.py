"""How recommenders learn from a log, and what they are held against."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from horngate.pipelines.recommendation.interactions import samples
from horngate.pipelines.recommendation.interactions.inspection import LogInspection
from horngate.pipelines.recommendation.interactions.store import FILES, InteractionStore
from horngate.pipelines.recommendation.retrieval.baselines import fitted_baselines
from horngate.pipelines.recommendation.retrieval.candidates import Candidates
from horngate.pipelines.recommendation.retrieval.selection import Selected
from horngate.pipelines.runs.run import Run
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class RecommenderLearner(ABC):
    """Learns who wants which items. A task adds how its models are selected, `select`."""

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    @abstractmethod
    def select(self, store: InteractionStore, seen: LogInspection, run: Run) -> Selected:
        """Learn from the training interactions, and choose on those of validation.

        Raises:
            UserError: interactions that nothing can be learnt from, or a checkpoint that can't be read or written.
        """

    def past(self, split: str) -> "csr_array":
        """Return what baselines go by when they answer a split, `[users, items]`: what models of the task go by, too."""
        return self.task.fitted.decisions.learnt

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        seen = data.seen
        for name, count in seen.protocol.items():
            if name.endswith("_only_in_test") and count:
                progress.notice(f"{count:,} {name.split('_')[0]} stand in the test alone; they count in its scores")
        store = seen.store()
        with device.scope():
            found = self.select(store, seen, run)
        store = replace(store, refit=found.refit, by_features=found.by_features)
        run.keep_model(found.model)
        store.write(run.folder)
        schema = {"users": len(store.log.users), "items": len(store.log.items)}
        schema |= {"by_features": store.by_features, "refit": store.refit}
        schema["reads"] = "user" if len(found.model.inputs[0].shape) == 1 else "items"
        with_seen = Candidates(self.task).with_seen
        protocol = {
            "split_rule": seen.rule,
            "method": found.method,
            "chosen_because": found.why,
            "refit": store.refit,
            "candidates": "full ranking of all items with a training interaction; "
            + ("seen ones too" if with_seen else "seen ones are masked, in the test also those of validation"),
            "ties": f"broken by an order of the items drawn with seed {self.card.seed}",
        }
        return Fitted(schema, decisions=store, model=found.model, files=FILES), {
            "method": found.method,
            "costs_seconds": found.costs,
            "parameters": int(found.model.count_params()),
            "protocol": protocol | seen.protocol | found.protocol,
        }

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        store: InteractionStore = self.task.fitted.decisions
        listers = fitted_baselines(store)
        best = samples.oracle(self.card.data, store, data.seen.rule)
        listers |= {"oracle": best} if best else {}
        masked, outcome = Candidates(self.task).masked, self.task.evaluator.ranking
        rows = {split: data.rows(split) for split in data.held_out}
        found: dict[str, dict[str, Any]] = {}
        for name, lister in listers.items():
            found[name] = {}
            for split, own in rows.items():
                codes: np.ndarray = lister(store.users_of(own["id"]), masked(split), self.past(split))
                found[name][split] = outcome(codes, own["target"].to_pylist())
        return found
