"""How findings are shown: no picture that may say whose it is, and on every page what this isn't."""

from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from horngate.pipelines.images.display import ShownPictures
from horngate.pipelines.medical.diagnose import plots as drawn
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.classification.display import LabelDisplay
from horngate.pipelines.tasks.parts import Titles


class ScreeningDisplay(LabelDisplay):
    """Shows findings, their decision curve, and the positives near the threshold."""

    titles = Titles(caution=NO_DEVICE)

    @cached_property
    def pictures(self) -> ShownPictures:
        """The scans, but for those with text in their pixels, which may say whose they are."""
        inspect = self.task.reader.inspect
        return ShownPictures(self.task, ("mistakes", "borderline"), lambda data: not inspect(data, "").burned_in)

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        return self.pictures.rows(rows, answers)

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        self.pictures.files(report, table, folder, options)

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        curve = report.details.get("decision_curve")
        return super().plots(answers, report) + (
            [] if curve is None else [drawn.decision(curve, self.fitted.decisions.positive)]
        )

    def model_card(self) -> dict[str, str]:
        schema = self.fitted.schema
        shape = f"{schema['size']} × {schema['size']} pixels, {'RGB' if schema['channels'] == 3 else 'grey'}"
        window = {"file": "each file's own window where it has one", "none": "no window"}
        said = window.get(schema["window"], f"the window {schema['window']}")
        return {
            "Not a medical device": NO_DEVICE,
            "Images": f"The network sees {shape}, by {said}. An image of something else gets an answer too.",
        } | super().model_card()
