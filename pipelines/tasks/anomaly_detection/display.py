"""How detectors are shown on pages in any domain, and what their exported models say."""

import pyarrow as pa

from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.parts import Titles


class AnomalyDisplay(PageDisplay):
    """Draws scores and alarms. A task adds how its rows look."""

    titles = Titles(mistakes="Top cases", mistakes_said="rows with the highest scores")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.task.evaluator.outcome(answers), self.fitted.decisions.threshold)

    def model_card(self) -> dict[str, str]:
        said = (
            "A score, higher for stranger rows; only its order and what is derived from it mean anything. The p-value "
            "says how often a row like the held-out ones scores as high. A strange row need not be a harmful one."
        )
        return {"Answers": said} | super().model_card()


class AnomalyExporter(ModelExporter):
    """Says of an exported model's outputs whether they raise an alarm. A task adds how its tensors are read."""

    def answering(self) -> str:
        said = f'"alarm" if outputs[0] >= {self.fitted.decisions.threshold!r} else "no alarm"'
        return f'def answer(path, outputs):\n    return [{said}, f"{{outputs[0]:.4f}}"]\n'
