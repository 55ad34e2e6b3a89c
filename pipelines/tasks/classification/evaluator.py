"""How good labels and their scores are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import classification
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.statistics import calibration, conformal, thresholds
from horngate.pipelines.statistics.intervals import prepared
from horngate.pipelines.tasks.bases import TableEvaluator
from horngate.pipelines.tasks.classification.labels import Labels, split_labels
from horngate.pipelines.tasks.task import Task

MISTAKES = 20  # most confident ones, in a report


class LabelEvaluator(TableEvaluator):
    """Measures labels and scores against targets."""

    @property
    def labels(self) -> Labels:
        return self.fitted.decisions

    def outcome(self, answers: pa.Table) -> Outcome:
        count, classes = answers.num_rows, len(self.labels.labels)
        flat = answers["scores"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        targets = self.labels.encode(answers["target"].to_pylist())
        said = self.labels.encode(answers["label"].to_pylist())
        chosen = said > 0 if self.labels.several else said.argmax(1)
        return Outcome(targets, flat.reshape(count, classes), chosen, self.labels.positive_index)

    def trivial(self, outcome: Outcome) -> Outcome:
        """Say of every row the shares of the training rows, and so the most frequent class."""
        scores = np.tile(np.array(self.labels.prior, np.float32), (len(outcome.scores), 1))
        chosen = scores >= 0.5 if self.labels.several else scores.argmax(1)
        return replace(outcome, scores=scores, chosen=chosen)

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        names = classification.names_for(self.card.metrics, outcome)
        return prepared({name: MEASURES[name] for name in names}, outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        details: dict[str, Any] = {"labels": list(self.labels.labels)}
        unknown = sorted({name for name in answers["target"].to_pylist() if not self.labels.encode([name]).any()})
        if unknown:
            details["unlearnt_labels"] = unknown
        details["per_class"] = classification.per_class(outcome, self.labels.labels)
        if not outcome.several:
            details["confusion"] = classification.confusion(outcome).tolist()
            details["reliability"] = calibration.reliability(outcome)
            details["mistakes"] = self._mistakes(answers, outcome)
        place = self.labels.positive_index
        if place is not None:
            threshold = 0.5 if self.labels.threshold is None else self.labels.threshold
            rates = thresholds.rates_at(outcome.targets[:, place] > 0, outcome.scores[:, place], threshold)
            details["operating_point"] = {"positive": self.labels.positive} | rates
        if "set" in answers.column_names:
            sets, targets = answers["set"].to_pylist(), answers["target"].to_pylist()
            measured = {"measured": conformal.coverage_of(sets, targets)}
            measured["by_class"] = conformal.coverage_by_class(sets, targets, self.labels.labels)
            details["conformal"] = self.labels.conformal | measured
        return details

    def labels_in(self, target: str | None) -> list[str]:
        return split_labels(target, self.card.label_separator)

    def correct(self, answers: pa.Table) -> np.ndarray:
        said, targets = answers["label"].to_pylist(), answers["target"].to_pylist()
        if not self.labels.several:
            return np.array([label == target for label, target in zip(said, targets, strict=True)], bool)
        parted = ([set(split_labels(text, self.labels.separator)) for text in texts] for texts in (said, targets))
        return np.array([label == target for label, target in zip(*parted, strict=True)], bool)

    def incomparable(self, other: Task) -> str | None:
        mine, theirs = self.labels, other.fitted.decisions
        if mine.separator != theirs.separator:
            return "one has one label per row and the other several, or they part labels by another character"
        if len({mine.positive, theirs.positive} - {None}) > 1:
            return f"their positive classes differ: {mine.positive} and {theirs.positive}"
        return None

    def _mistakes(self, answers: pa.Table, outcome: Outcome) -> list[dict[str, Any]]:
        wrong = np.flatnonzero(outcome.chosen != outcome.truth)
        said = outcome.scores[wrong, outcome.chosen[wrong]]
        shown = wrong[np.argsort(-said, kind="stable")[:MISTAKES]]
        columns = answers.select(["id", "target", "label", "score"]).take(pa.array(shown))
        return columns.to_pylist()
