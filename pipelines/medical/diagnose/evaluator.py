"""How good findings are, as screening reports it: at a threshold, at a prevalence, over all; and what sets these."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import classification, screening
from horngate.pipelines.metrics.classification import MEASURES, Outcome, mean_auroc, quadratic_kappa
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import delong
from horngate.pipelines.statistics.intervals import Spec, Uncomputable, numbered, prepared
from horngate.pipelines.tasks.classification.decisions import decided
from horngate.pipelines.tasks.classification.evaluator import LabelEvaluator
from horngate.pipelines.tasks.classification.predictor import LabelPredictor
from horngate.pipelines.tasks.parts import Fitted


class FindingPredictor(LabelPredictor):
    """Answers scans with findings."""

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        labels, prevalence = self.fitted.decisions, options.get("prevalence")
        if prevalence is not None and labels.positive is None:
            raise UserError(f"--prevalence needs two classes. Found: {len(labels.labels)}")
        fitted, changed = super().configure(run, options)
        answered = run / "evaluation" / "validation" / "answers.parquet"
        if fitted is self.fitted and answered.is_file() and not run.card.refit:
            fitted = fitted.having(decisions=decided(labels, self.on_validation(run), None, None, None))
        return fitted, changed | ({} if prevalence is None else {"prevalence": prevalence})


BORDERLINE = 20  # positives near the threshold, in a report


class ScreeningEvaluator(LabelEvaluator):
    """Measures findings: of two classes at the threshold, of grades by kappa, else by areas under curves."""

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return prepared(self._specs(outcome), outcome)

    def trivial(self, outcome: Outcome) -> Outcome:
        guessed = super().trivial(outcome)
        return screening.Chance(guessed.targets, guessed.scores, guessed.chosen, guessed.positive)

    def _specs(self, outcome: Outcome) -> dict[str, Spec]:
        """Return the measures of the card that fit, the headline first: of grades kappa, else the area under the curve."""
        prevalence = self.task.options.get("prevalence")
        if outcome.positive is not None:
            known = MEASURES | screening.RATES
            chosen = {name: known[name] for name in self.card.metrics if name in known}
            return chosen | ({} if prevalence is None else screening.at_prevalence(prevalence))
        named = classification.names_for(self.card.metrics, outcome)
        several = {"auroc": Spec(mean_auroc)} | {name: MEASURES[name] for name in named if name in MEASURES}
        return ({"quadratic_kappa": Spec(quadratic_kappa)} if self.labels.ordinal else {}) | several

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found = super().details(answers, outcome)
        place = self.labels.positive_index
        if place is None:
            return found
        found["operating_point"] |= {"validation": self.labels.on_validation}
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
