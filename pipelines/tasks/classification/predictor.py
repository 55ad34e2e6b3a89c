"""Rows with labels, and from scores to labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding, label_findings
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.classification.decisions import decided, wishes_of
from horngate.pipelines.tasks.classification.labels import Labels, split_labels
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted
from horngate.pipelines.tasks.predictor import ModelPredictor, kept_model


class LabelledRows(ListedRows):
    """Rows of the common sources, each with a label, or several. A task adds its `suffixes`."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        names = [split_labels(target, self.card.label_separator) for target in table["target"].to_pylist()]
        return label_findings(names, splits)


class LabelPredictor(ModelPredictor):
    """Answers rows with labels. The model is a `Network`, the decisions are `Labels`."""

    @property
    def core(self) -> Any:
        return self.fitted.model.answers

    def columns(self) -> tuple[AnswerColumn, ...]:
        labels = self.fitted.decisions
        wide = tuple(f"score_{name}" for name in labels.labels)
        scores = AnswerColumn("scores", pa.list_(pa.float32()), wide=wide)
        found = (AnswerColumn("label", pa.string()), AnswerColumn("score", pa.float32()), scores)
        if labels.conformal is not None:
            found += (AnswerColumn("set", pa.list_(pa.string())), AnswerColumn("abstain", pa.bool_()))
        return found

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        return self.fitted.decisions.answers(outputs)

    def load_state(self, folder: Path) -> Fitted:
        labels = Labels.read(folder / "labels.json")
        return Fitted(read_json(folder / "schema.json"), decisions=labels, files=("labels.json",))

    def load_model(self, run: Run) -> Any:
        from horngate.models.network import Network  # Keras, which a bundle of another runtime does without

        network = Network.within(kept_model(run))
        if network.answers.output_shape[-1] != len(self.fitted.decisions.labels):
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of classes")
        return network

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        labels = self.fitted.decisions
        wishes = wishes_of(run, labels, options)
        if all(wish is None for wish in wishes):
            return self.fitted, {}
        labels = decided(labels, self.on_validation(run), *wishes)
        changed = {"threshold": labels.threshold, "conformal": labels.conformal}
        return self.fitted.having(decisions=labels), changed

    def on_validation(self, run: Run) -> Any:
        """Return the outcome of a run's answers on its validation rows."""
        return self.task.evaluator.outcome(read_table(run / "evaluation" / "validation" / "answers.parquet"))

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.fitted.model.encoder.predict_on_batch(batch))
