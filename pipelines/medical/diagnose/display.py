"""How findings are shown: no picture that may say whose it is, and on every page what this isn't."""

import pyarrow as pa

from horngate.pipelines.images.display import PictureDisplay
from horngate.pipelines.medical.diagnose import plots as drawn
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.parts import Titles


class ScreeningDisplay(PictureDisplay):
    """Shows findings, their decision curve, and the positives near the threshold."""

    titles = Titles(caution=NO_DEVICE)
    drawn_from = ("mistakes", "borderline")

    def showable(self, data: bytes) -> bool:
        return not self.task.reader.inspect(data, "").burned_in

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
