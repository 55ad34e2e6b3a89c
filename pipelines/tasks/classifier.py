"""Classification in any domain: labels, decisions, measures, and learning through the transfer ladder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.checks import Finding, label_findings
from horngate.pipelines.metrics import classification
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.report import classification as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import calibration, conformal, thresholds
from horngate.pipelines.statistics.intervals import prepared
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tasks.labels import MIDDLE, Labels, split_labels
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow

if TYPE_CHECKING:
    from horngate.models.network import Network

MISTAKES = 20  # most confident ones, in a report


class Classifier(RowByRow):
    """What all classifying tasks share. A task adds how to inspect, settle, read and build."""

    labels: Labels
    network: "Network"
    pretrained = False  # whether the encoder starts from pretrained weights
    views = 1  # of each training row, that a probe sees: the plain one and random others
    finetune_epochs = 10
    scratch_epochs, scratch_rate = 30, 2e-3
    variation = ""  # names how random views are drawn

    def build(self, labels: Labels) -> "Network":
        """Return the untrained network for these labels, pretrained weights in its encoder where wished."""
        raise TypeError(f"{type(self).__name__} should say how its network is built")

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        names = [split_labels(target, self.card.label_separator) for target in table["target"].to_pylist()]
        return label_findings(names, splits)

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.pipelines.training.transfer import Ladder

        targets = table["target"].to_pylist()
        train = np.flatnonzero(splits == "train")
        self.labels = Labels.learnt([targets[row] for row in train], self.card)
        with device.scope():
            self.network = self.build(self.labels)
        summary = Ladder(self, table, splits, fingerprints, run, device).climb()
        self.labels.write(run / "labels.json")
        return summary | {"parameters": int(self.network.answers.count_params())}

    def decide(self, outcome: Outcome) -> dict[str, Any]:
        """Fit temperature, threshold and conformal quantile on validation rows; return what was decided."""
        temperature = 1.0
        if self.card.calibrate and len(outcome.scores):
            temperature = calibration.fitted_temperature(outcome)
            self.network.scores.temperature.assign(temperature)
            scores = calibration.at_temperature(outcome.scores, temperature, outcome.several).astype(np.float32)
            outcome = replace(outcome, scores=scores)
        self.labels = self.decided(
            self.labels, outcome, self.card.sensitivity, self.card.specificity, self.card.conformal
        )
        return {"temperature": temperature, "threshold": self.labels.threshold, "conformal": self.labels.conformal}

    def decided(self, labels: Labels, outcome: Outcome, sensitivity, specificity, coverage) -> Labels:
        """Return labels with a threshold and a conformal quantile chosen on an outcome, where wished."""
        if sensitivity is not None or specificity is not None:
            place = labels.positive_index
            positive = outcome.targets[:, place] > 0
            chosen = thresholds.threshold_for(positive, outcome.scores[:, place], sensitivity, specificity)
            labels = replace(labels, threshold=chosen)
        if coverage is not None:
            quantile = conformal.fitted_quantile(outcome.targets, outcome.scores, coverage)
            labels = replace(labels, conformal={"coverage": coverage, "quantile": quantile})
        return labels

    def recall(self, folder: Path) -> None:
        self.labels, self.schema = Labels.read(folder / "labels.json"), read_json(folder / "schema.json")

    def load(self, run: Run) -> None:
        from horngate.models.network import Network

        self.network = Network.within(self.kept_model(run))
        if self.network.answers.output_shape[-1] != len(self.labels.labels):
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of classes")

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        wishes = {name: options.get(name) for name in ("sensitivity", "specificity", "conformal")}
        if not any(value is not None for value in wishes.values()):
            return {}
        if run.card.refit:
            raise UserError(
                "a refitted run has seen its validation rows, so nothing can be chosen on them; train without --refit"
            )
        if wishes["sensitivity"] is not None and wishes["specificity"] is not None:
            raise UserError("give --sensitivity or --specificity, not both")
        if self.labels.positive is None and (wishes["sensitivity"], wishes["specificity"]) != (None, None):
            raise UserError(f"--sensitivity and --specificity need two classes. Found: {len(self.labels.labels)}")
        if self.labels.several and wishes["conformal"] is not None:
            raise UserError("--conformal needs one label per row")
        answers = read_table(run / "evaluation" / "validation" / "answers.parquet")
        self.labels = self.decided(self.labels, self.outcome(answers), *wishes.values())
        return {"threshold": self.labels.threshold, "conformal": self.labels.conformal}

    @property
    def core(self) -> Any:
        return self.network.answers

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.network.encoder.predict_on_batch(batch))

    def label_names(self, target: str) -> list[str]:
        return split_labels(target, self.card.label_separator)

    def answer_schema(self) -> pa.Schema:
        fields = [("label", pa.string()), ("score", pa.float32()), ("scores", pa.list_(pa.float32()))]
        if self.labels.conformal is not None:
            fields += [("set", pa.list_(pa.string())), ("abstain", pa.bool_())]
        return pa.schema(fields)

    def rows(self, outputs: np.ndarray) -> dict[str, list]:
        return self.labels.answers(outputs)

    def saying(self) -> str:
        return f'def answer(path, scores):\n    return [{self._deciding()}, f"{{max(scores):.4f}}"]\n'

    def _deciding(self) -> str:
        """Return the expression that makes a label of `scores`, in Python."""
        threshold, positive = self.labels.threshold, self.labels.positive_index
        if self.labels.several:
            least = 0.5 if threshold is None else threshold
            return f"{self.labels.separator!r}.join(name for name, score in zip(names, scores) if score >= {least})"
        if self.labels.ordinal:
            return f"names[np.argmax(np.cumsum(scores) >= {0.5 - MIDDLE})]"
        if threshold is None or positive is None:
            return "names[np.argmax(scores)]"
        return f"names[{positive} if scores[{positive}] >= {threshold} else {1 - positive}]"

    def widened(self, answers: pa.Table) -> pa.Table:
        """Return answers with one column `score_<class>` per class instead of the list `scores`."""
        place = answers.column_names.index("scores")
        lists = answers["scores"].combine_chunks()
        wide = answers.remove_column(place)
        for number, label in enumerate(self.labels.labels):
            wide = wide.add_column(place + number, f"score_{label}", pc.list_element(lists, number))
        return wide

    def outcome(self, answers: pa.Table) -> Outcome:
        count, classes = answers.num_rows, len(self.labels.labels)
        flat = answers["scores"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        targets = self.labels.encode(answers["target"].to_pylist())
        said = self.labels.encode(answers["label"].to_pylist())
        chosen = said > 0 if self.labels.several else said.argmax(1)
        return Outcome(targets, flat.reshape(count, classes), chosen, self.labels.positive_index)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Outcome:
        encoded = self.labels.encode(targets)
        return Outcome(encoded, outputs, self.labels.chosen(outputs), self.labels.positive_index)

    def guess(self, outcome: Outcome) -> Outcome:
        """Say of every row the shares of the training rows, and so the most frequent class."""
        scores = np.tile(np.array(self.labels.prior, np.float32), (len(outcome.scores), 1))
        chosen = scores >= 0.5 if self.labels.several else scores.argmax(1)
        return replace(outcome, scores=scores, chosen=chosen)

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return prepared(
            {name: MEASURES[name] for name in classification.names_for(self.card.metrics, outcome)}, outcome
        )

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

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        temperature = report.protocol.get("temperature") or 1.0
        return drawn.plots(self.outcome(answers), self.labels.labels, report.details, temperature)

    def model_card(self) -> dict[str, str]:
        kinds = f"{len(self.labels.labels)} classes"
        several = "any number of them per row" if self.labels.several else "exactly one of them per row"
        return {
            "Answers": f"{kinds}, {several}. What belongs to none of them is still given one."
        } | super().model_card()

    def unlike(self, other: "Classifier") -> str | None:
        if self.labels.separator != other.labels.separator:
            return "one has one label per row and the other several, or they part labels by another character"
        positives = {self.labels.positive, other.labels.positive} - {None}
        if len(positives) > 1:
            return f"their positive classes differ: {self.labels.positive} and {other.labels.positive}"
        return None

    def right(self, answers: pa.Table) -> np.ndarray:
        said, targets = answers["label"].to_pylist(), answers["target"].to_pylist()
        if not self.labels.several:
            return np.array([label == target for label, target in zip(said, targets, strict=True)], bool)
        parted = ([set(split_labels(text, self.labels.separator)) for text in texts] for texts in (said, targets))
        return np.array([label == target for label, target in zip(*parted, strict=True)], bool)

    def _mistakes(self, answers: pa.Table, outcome: Outcome) -> list[dict[str, Any]]:
        wrong = np.flatnonzero(outcome.chosen != outcome.truth)
        said = outcome.scores[wrong, outcome.chosen[wrong]]
        shown = wrong[np.argsort(-said, kind="stable")[:MISTAKES]]
        columns = answers.select(["id", "target", "label", "score"]).take(pa.array(shown))
        return columns.to_pylist()
