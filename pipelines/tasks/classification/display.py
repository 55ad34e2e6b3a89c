"""How classifiers show themselves: on pages, and in the bundles that are made of them."""

import pyarrow as pa

from horngate.pipelines.report import classification as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.classification.labels import MIDDLE


class LabelDisplay(PageDisplay):
    """Draws scores, and says what the classes are."""

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        temperature = report.protocol.get("temperature") or 1.0
        outcome = self.task.evaluator.outcome(answers)
        return drawn.plots(outcome, self.fitted.decisions.labels, report.details, temperature)

    def model_card(self) -> dict[str, str]:
        labels = self.fitted.decisions
        several = "any number of them per row" if labels.several else "exactly one of them per row"
        said = f"{len(labels.labels)} classes, {several}. What belongs to none of them is still given one."
        return {"Answers": said} | super().model_card()


class LabelExporter(ModelExporter):
    """Hands a classifier over: its outputs are scores, which the decisions turn into labels."""

    ranges = {"inputs": (None, None), "outputs": (0, 1)}

    def answering(self) -> str:
        return f'def answer(path, scores):\n    return [{self._deciding()}, f"{{max(scores):.4f}}"]\n'

    def _deciding(self) -> str:
        """Return the expression that makes a label of `scores`, in Python."""
        labels = self.fitted.decisions
        threshold, positive = labels.threshold, labels.positive_index
        if labels.several:
            least = 0.5 if threshold is None else threshold
            return f"{labels.separator!r}.join(name for name, score in zip(names, scores) if score >= {least})"
        if labels.ordinal:
            return f"names[np.argmax(np.cumsum(scores) >= {0.5 - MIDDLE})]"
        if threshold is None or positive is None:
            return "names[np.argmax(scores)]"
        return f"names[{positive} if scores[{positive}] >= {threshold} else {1 - positive}]"
