"""How series are shown on pages: strips of signal and score; and how an exported model's windows are read."""

from typing import Any

import pyarrow as pa

from horngate.pipelines.anomaly.series import plots as drawn
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.trailing import Window
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyDisplay, AnomalyExporter
from horngate.pipelines.tasks.parts import Titles


class StepDisplay(AnomalyDisplay):
    """Draws series with their alarms, and shows the values of the columns that made a score, the strongest first."""

    titles = Titles(mistakes="Top stretches", mistakes_said="the strangest row of each stretch, strangest first")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        labels = drawn.Labels(self.fitted.schema["columns"], self.fitted.decisions.threshold)
        strips = drawn.plots(answers, self.task.evaluator.outcome(answers), labels)
        return [*strips, *super().plots(answers, report)]

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        found = []
        for data, answer in zip(inputs_of(rows), answers, strict=True):
            window = Window.of(data)
            values = dict(zip(window.names, window.values[-1].tolist(), strict=True))
            parts = [f"{reason['column']} {values[reason['column']]:.6g}" for reason in answer["reasons"]]
            found.append(Shown(text=", ".join(parts)))
        return found

    def model_card(self) -> dict[str, str]:
        said = (
            f"A score for every time step, from the step and the {self.card.window - 1} rows before it; nothing after it is "
            "looked at. 1 is the usual error, 2 twice as much. The first rows of a series have fewer rows before them and "
            "are judged by those alone; a forecast of the very first is the training mean. Neighbouring scores are alike, "
            "so the p-value of a step is right on average, but not independent of the next one's."
        )
        return super().model_card() | {"Answers": said}


class StepExporter(AnomalyExporter):
    """Hands over a model of windows."""

    def reading(self) -> str:
        return (
            "import numpy as np\n\n\n"
            "def read(path):  # float32 [window, columns]: the row and those before it, NaN for what is missing\n"
            "    return np.load(path).astype(np.float32)\n"
        )
