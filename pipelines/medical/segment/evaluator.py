"""How good masks are: metrics over cases, class by class, and the worst cases."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.medical.segment.cases import MEASURED, cases_of, tolerance_of
from horngate.pipelines.medical.segment.plots import table_of
from horngate.pipelines.metrics import segmentation
from horngate.pipelines.metrics.segmentation import Cases
from horngate.pipelines.tasks.bases import TableEvaluator
from horngate.pipelines.tasks.task import Task

WORST = 20  # cases, in a report


class MaskEvaluator(TableEvaluator):
    """Measures how answered masks overlap with the truth; its outcomes are `Cases`."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.names, self.tolerance = task.fitted.decisions.names, tolerance_of(task)

    def outcome(self, answers: pa.Table) -> Cases:
        return cases_of(answers.select([*MEASURED, "area_unit"]).to_pylist(), len(self.names))

    def trivial(self, outcome: Cases) -> Cases:
        return segmentation.nothing_said(outcome)

    def metrics(self, outcome: Cases) -> dict[str, tuple[Any, Any]]:
        found = segmentation.measures(outcome)
        return {name: found[name] for name in self.card.metrics}

    def details(self, answers: pa.Table, outcome: Cases) -> dict[str, Any]:
        by_class = segmentation.per_class(outcome, self.names)
        return {
            "labels": list(self.names),
            "by_class": by_class,
            "tables": [table_of(by_class, "mm" if outcome.spaced.all() else "pixels", self.tolerance)],
            "per_class": segmentation.per_pixel(outcome, self.names),
            "confusion": outcome.counts.sum(0).tolist(),
            "mistakes": self._worst(answers, outcome),
        }

    def _worst(self, answers: pa.Table, outcome: Cases) -> list[dict[str, Any]]:
        scores = segmentation.by_case(segmentation.dice(outcome))
        order = [int(row) for row in np.argsort(scores, kind="stable") if not np.isnan(scores[row])][:WORST]
        there, said = outcome.truth > 0, outcome.said > 0
        names = np.array(self.names, object)[1:]
        return [
            {
                "id": answers["id"][row].as_py(),
                "target": ", ".join(names[there[row, 1:]]) or "nothing",
                "label": f"{', '.join(names[said[row, 1:]]) or 'nothing'}, dice",
                "score": float(scores[row]),
            }
            for row in order
        ]

    def incomparable(self, other: Task) -> str | None:
        if self.fitted.decisions != other.fitted.decisions:
            return "their masks have other classes"
        if self.tolerance != tolerance_of(other):
            return f"surface_dice was measured with tolerances of {self.tolerance} and {tolerance_of(other)}"
        return None
