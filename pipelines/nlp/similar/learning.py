"""How an embedder learns from pairs: which method, on which rows, and what is kept of it."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.models.training import checkpoint
from horngate.pipelines.nlp.similar.pairs import PairRows, embedded, float_of, numbered, one_or_two, similarities
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.training.phases import Training, told

HISTORY = ["phase", "epoch", "loss", "val_loss", "learning_rate"]


class PairTraining(Training):
    """One training of an embedder.

    Args:
        task: the pipeline; its `answers` is the untrained network, and holds what is kept in the end.
        table: all rows, with their splits beside.
        run: where it is kept.

    Attributes:
        untrained: what the encoder said before it learnt, by split, for `outcome_of`; empty where it learns nothing.
    """

    columns = HISTORY

    def __init__(self, task: Any, table: pa.Table, splits: np.ndarray, run: Run):
        super().__init__(task, run)
        self.table = table
        self.scored = table["target"].null_count < table.num_rows
        self.places = {name: np.flatnonzero(splits == name) for name in ("train", "validation", "test")}
        self.untrained: dict[str, np.ndarray] = {}

    def climb(self) -> dict[str, Any]:
        """Learn by the card's method and save the model; return the summary."""
        from horngate.models.training.lora import merged

        method = self._method()
        kept, why = method, "asked for"
        if method == "probe":
            progress.notice("method probe: the encoder is taken as it is; nothing is learnt")
        else:
            phase = "finetune" if method == "auto" else method
            before = checkpoint.values_of(self.task.answers.weights)
            self.timed(phase, lambda: self._learn(phase))
            if phase == "lora":
                self.task.answers = merged(self.task.answers)
            why = "asked for" if self.card.method == method else "no pretrained weights"
            if method == "auto":
                kept, why = self._compared(before)
        learnt_from = "scores of pairs (CoSENT)" if self.scored else "pairs alone (multiple negatives ranking)"
        learnt_from = "nothing: the encoder as it is" if kept == "probe" else learnt_from
        return self.finish(self.task.answers, kept, why, learnt_from=learnt_from)

    def _method(self) -> str:
        method = self.card.method
        if self.task.pretrained:
            return method
        if method in ("probe", "lora", "finetune"):
            raise UserError(f"--method {method} needs pretrained weights: name a --backbone, or use scratch")
        return "scratch"

    def _untouched(self) -> None:
        for split in ("validation", "test"):
            if len(self.places[split]):
                self.untrained[split] = self._said(split, "answers of the untrained encoder")

    def _rows(self, split: str) -> PairRows:
        table = self.table.take(pa.array(self.places[split]))
        if self.scored:
            targets = np.array([[float_of(target)] for target in table["target"].to_pylist()], np.float32)
        else:
            inputs = zip(table["input"].to_pylist(), table["value"].to_pylist(), strict=True)
            targets = _numbers(inputs, self.card.encoding)
        return PairRows(self.task, table, targets.reshape(table.num_rows, -1))

    def _said(self, split: str, label: str) -> np.ndarray:
        rows = self._rows(split)
        return similarities(*np.split(embedded(self.task, rows.firsts + rows.seconds, label), 2), self.scored)

    def _learn(self, phase: str) -> None:
        from horngate.models.text.embedding import Wishes, learn_pairs

        self._untouched()
        card = self.card
        wishes = Wishes(phase, self.scored, card.seed, card.epochs, card.batch_size, card.learning_rate)
        train, held = self._rows("train"), self._rows("validation")
        with told(self, at_least=0.0) as keeper:
            self.history += learn_pairs(self.task.answers, train, held, wishes, keeper)

    def _compared(self, before: list[np.ndarray]) -> tuple[str, str]:
        """Keep the encoder as it was unless the trained one is better on validation beyond its interval."""
        if not len(self.places["validation"]):
            return self.better(self.task.answers, before, ((), ()), [], "probe")
        own = self.table.take(pa.array(self.places["validation"]))
        targets = own["target"].to_pylist()
        said = (self.untrained["validation"], self._said("validation", "answers on validation"))
        outcomes = tuple(self.task.outcome_of(outputs, targets) for outputs in said)
        kept, why = self.better(self.task.answers, before, outcomes, own["group"].to_pylist(), "probe")
        if kept == "probe":
            self.untrained = {}
        return kept, why


def _numbers(inputs: Any, encoding: str) -> np.ndarray:
    """Return float32 `[n, 2]`: numbers of both texts of each row, equal for equal texts."""
    from horngate.pipelines.data.reading import content

    pairs = [one_or_two(content(*row), encoding) for row in inputs]
    return np.stack([numbered([pair[side] for pair in pairs]) for side in (0, 1)], axis=1)
