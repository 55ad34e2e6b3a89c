"""From scores to findings, and what a threshold does on validation rows."""

from typing import Any

from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.classification.decisions import decided
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
