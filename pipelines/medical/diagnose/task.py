"""Medical images into findings."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.images.classifier import PictureClassifier
from horngate.pipelines.images.example import read_source
from horngate.pipelines.images.reader import Change
from horngate.pipelines.images.statistics import looks_of
from horngate.pipelines.medical.diagnose import plots as drawn
from horngate.pipelines.medical.diagnose.preprocessing import Facts, Look
from horngate.pipelines.medical.scans import checks
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.medical.scans.reading import SUFFIXES, scan_of
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.metrics import classification, screening
from horngate.pipelines.metrics.classification import MEASURES, Outcome, Spec, mean_auroc
from horngate.pipelines.metrics.ordinal import quadratic_kappa
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import delong, thresholds
from horngate.pipelines.statistics.intervals import Uncomputable, numbered, prepared
from horngate.pipelines.system.files import read_table
from horngate.pipelines.tasks.labels import Labels, split_labels

BORDERLINE = 20  # positives near the threshold, in a report


class Pipeline(PictureClassifier):
    """`horngate medical diagnose`."""

    suffixes = (*SUFFIXES, "")
    caution = NO_DEVICE
    drawn_from = ("mistakes", "borderline")

    def __init__(self, card: Any):
        super().__init__(card)
        window_named(card.window)  # says what is wrong with it before anything is read
        self.prevalence: float | None = None
        self.on_validation: dict[str, Any] | None = None

    # What is a row?

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Look(self.card.window, self.card.slice, self.card.resize).inspect(data)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        targets = (split_labels(target, self.card.label_separator) for target in table["target"].to_pylist())
        labels = {name for names in targets for name in names}
        positive = [] if self.card.label_separator else checks.positive_findings(labels, self.card.positive)
        sides = checks.flip_findings(labels, self.card.flip)
        return super().findings(table, splits) + checks.patient_findings(table) + positive + sides

    def input_findings(self, table: pa.Table, facts: list[Facts]) -> list[Finding]:
        return checks.image_findings(table, facts)

    def settle(self, facts: list[Facts]) -> None:
        colour, deep = any(fact.colour for fact in facts), any(fact.deep for fact in facts)
        self.schema = {
            "kind": "scan",
            "window": self.card.window,
            "slice": self.card.slice,
            "resize": self.card.resize,
            "channels": 3 if colour else 1,
            "dtype": "float32" if deep else "uint8",
            "small_size": self.small_size([min(fact.width, fact.height) for fact in facts]),
        }

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        names = ("window", "slice", "resize", "size", "channels", "dtype")
        look = Look(**{name: self.schema[name] for name in names})
        return look.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        scan = scan_of(data)
        shape = {"width": float(scan.width), "height": float(scan.height), "aspect": scan.width / scan.height}
        return shape | looks_of(self.as_picture(tensor))

    def showable(self, data: bytes) -> bool:
        return not self.inspect(data, "").burned_in

    # What does it say?

    def decided(self, labels: Labels, outcome: Outcome, sensitivity, specificity, coverage) -> Labels:
        labels = super().decided(labels, outcome, sensitivity, specificity, coverage)
        place = labels.positive_index
        if place is not None and len(outcome):
            threshold = 0.5 if labels.threshold is None else labels.threshold
            positive = outcome.targets[:, place] > 0
            self.on_validation = thresholds.rates_at(positive, outcome.scores[:, place], threshold)
        return labels

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        self.prevalence = options.get("prevalence")
        if self.prevalence is not None and self.labels.positive is None:
            raise UserError(f"--prevalence needs two classes. Found: {len(self.labels.labels)}")
        answered = run / "evaluation" / "validation" / "answers.parquet"
        if answered.is_file() and not run.card.refit:
            self.labels = self.decided(self.labels, self.outcome(read_table(answered)), None, None, None)
        changed = super().adjust(run, options)
        return changed | ({} if self.prevalence is None else {"prevalence": self.prevalence})

    # How good is it?

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return prepared(self._specs(outcome), outcome)

    def guess(self, outcome: Outcome) -> Outcome:
        guessed = super().guess(outcome)
        return screening.Chance(guessed.targets, guessed.scores, guessed.chosen, guessed.positive)

    def _specs(self, outcome: Outcome) -> dict[str, Spec]:
        """Return the measures of the card that fit, the headline first: of grades kappa, else the area under the curve."""
        if outcome.positive is not None:
            known = MEASURES | screening.RATES
            chosen = {name: known[name] for name in self.card.metrics if name in known}
            return chosen | ({} if self.prevalence is None else screening.at_prevalence(self.prevalence))
        named = classification.names_for(self.card.metrics, outcome)
        several = {"auroc": Spec(mean_auroc)} | {name: MEASURES[name] for name in named if name in MEASURES}
        return ({"quadratic_kappa": Spec(quadratic_kappa)} if self.labels.ordinal else {}) | several

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found = super().details(answers, outcome)
        place = self.labels.positive_index
        if place is None:
            return found
        found["operating_point"] |= {"validation": self.on_validation}
        found["decision_curve"] = screening.decision_curve(outcome)
        found["borderline"] = self._borderline(answers, outcome, found["operating_point"]["threshold"])
        positive, groups = outcome.targets[:, place] > 0, numbered(answers["group"].to_pylist())
        try:
            area = delong.area_of(positive, outcome.scores[:, place].astype(np.float64), groups)
        except Uncomputable:
            return found
        said = f"DeLong's interval of auroc: {area.low:.4f} to {area.high:.4f} (standard error {area.error:.4f})"
        return found | {"delong": vars(area), "said": [f"{said}{'' if groups is None else ', over patients'}."]}

    def _borderline(self, answers: pa.Table, outcome: Outcome, threshold: float) -> list[dict[str, Any]]:
        """Return the positives whose scores are nearest to the threshold, on either side."""
        place = self.labels.positive_index
        positives = np.flatnonzero(outcome.targets[:, place] > 0)
        away = np.abs(outcome.scores[positives, place] - threshold)
        chosen = positives[np.argsort(away, kind="stable")[:BORDERLINE]]
        return answers.select(["id", "target", "label", "score"]).take(pa.array(chosen)).to_pylist()

    # What does its page show?

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        curve = report.details.get("decision_curve")
        return super().plots(answers, report) + ([] if curve is None else [drawn.decision(curve, self.labels.positive)])

    def model_card(self) -> dict[str, str]:
        shape = (
            f"{self.schema['size']} × {self.schema['size']} pixels, {'RGB' if self.schema['channels'] == 3 else 'grey'}"
        )
        window = {"file": "each file's own window where it has one", "none": "no window"}
        said = window.get(self.schema["window"], f"the window {self.schema['window']}")
        return {
            "Not a medical device": NO_DEVICE,
            "Images": f"The network sees {shape}, by {said}. An image of something else gets an answer too.",
        } | super().model_card()

    # How is it handed over?

    def serving(self) -> Any:
        return super().serving() if self.schema["dtype"] == "uint8" else None

    def encoded(self, tensor: np.ndarray) -> bytes | None:
        return super().encoded(tensor) if self.schema["dtype"] == "uint8" else None

    def example(self) -> str:
        if self.schema["dtype"] != "uint8":
            return super().example()
        return read_source(self.schema["size"], self.schema["resize"], self.schema["channels"] == 1)
