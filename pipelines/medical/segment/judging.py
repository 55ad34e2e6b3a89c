"""What segmenting says of its answers: measures, the worst cases, and what the page of an evaluation shows."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.medical.segment import plots as drawn
from horngate.pipelines.medical.segment.answering import MEASURED, cases_of
from horngate.pipelines.medical.segment.class_maps import Classes
from horngate.pipelines.medical.segment.overlays import overlaid
from horngate.pipelines.metrics import segmentation
from horngate.pipelines.metrics.segmentation import Cases
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report

WORST = 20  # cases, in a report


class Judging:
    """The part of a segmenting task that judges; the whole has `card`, `schema`, `classes` and `tolerance`."""

    card: Any
    schema: dict[str, Any]
    classes: Classes
    tolerance: float

    # How good is it?

    def outcome(self, answers: pa.Table) -> Cases:
        rows = answers.select([*MEASURED.names, "area_unit"]).to_pylist()
        spaced = [row | {"spaced": str(row["area_unit"]).startswith("mm")} for row in rows]
        return cases_of(spaced, len(self.classes))

    def outcome_of(self, outputs: Any, targets: list[str | None]) -> Cases:
        return cases_of(outputs, len(self.classes))

    def guess(self, outcome: Cases) -> Cases:
        return segmentation.nothing_said(outcome)

    def measures(self, outcome: Cases) -> dict[str, tuple[Any, Any]]:
        found = segmentation.measures(outcome)
        return {name: found[name] for name in self.card.metrics}

    def details(self, answers: pa.Table, outcome: Cases) -> dict[str, Any]:
        by_class = segmentation.per_class(outcome, self.classes.names)
        return {
            "labels": list(self.classes.names),
            "by_class": by_class,
            "tables": [drawn.table_of(by_class, "mm" if outcome.spaced.all() else "pixels", self.tolerance)],
            "per_class": segmentation.per_pixel(outcome, self.classes.names),
            "confusion": outcome.counts.sum(0).tolist(),
            "mistakes": self._worst(answers, outcome),
        }

    def _worst(self, answers: pa.Table, outcome: Cases) -> list[dict[str, Any]]:
        scores = segmentation.by_case(segmentation.dice(outcome))
        order = [int(row) for row in np.argsort(scores, kind="stable") if not np.isnan(scores[row])][:WORST]
        there, said = outcome.truth > 0, outcome.said > 0
        names = np.array(self.classes.names, object)[1:]
        return [
            {
                "id": answers["id"][row].as_py(),
                "target": ", ".join(names[there[row, 1:]]) or "nothing",
                "label": f"{', '.join(names[said[row, 1:]]) or 'nothing'}, dice",
                "score": float(scores[row]),
            }
            for row in order
        ]

    # What does its page show?

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.outcome(answers), self.classes.names)

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the plane of each row in which most pixels are wrong, with the answer and the truth on it."""
        if not hasattr(self, "network"):
            return []
        return [overlaid(self, row) for row in rows.to_pylist()]

    def model_card(self) -> dict[str, str]:
        said = (
            f" The network sees tiles of {self.schema['size']} pixels; classes are {', '.join(self.classes.names)}, the "
            "first of which is the background. Volumes are answered plane by plane, each without its neighbours."
        )
        card = super().model_card()
        return {"Not a medical device": NO_DEVICE} | card | {"Limits": card["Limits"] + said}

    # Which of two runs is better?

    def unlike(self, other: "Judging") -> str | None:
        if self.classes != other.classes:
            return "their masks have other classes"
        if self.tolerance != other.tolerance:
            return f"surface_dice was measured with tolerances of {self.tolerance} and {other.tolerance}"
        return None
