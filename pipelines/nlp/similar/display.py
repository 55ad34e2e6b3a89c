"""How pairs are shown, and how an embedder is handed over."""

from typing import Any

import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.nlp.similar.pairs import one_or_two
from horngate.pipelines.nlp.similar.plots import plots
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.reader import READING
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.parts import Titles


class PairDisplay(PageDisplay):
    """Shows pairs of texts."""

    titles = Titles(
        mistakes="Most surprising pairs",
        mistakes_said="pairs whose similarity is farthest from what it should be",
    )

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = report.details.get("tokens")
        return plots(self.task.evaluator.outcome(answers)) + ([token_lengths(found)] if found else [])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return both texts."""
        pairs = [one_or_two(data, self.card.encoding) for data in inputs_of(rows)]
        return [Shown(text=" | ".join(part for part in pair if part)) for pair in pairs]

    def model_card(self) -> dict[str, str]:
        said = (
            "An embedding of length 1 for each text. The cosine of two (the sum of their products) says how alike they "
        )
        said += "are, in the sense of the pairs that were learnt from; it is no probability, and only its order is measured."
        return {"Answers": said} | super().model_card()


class EmbedderExporter(ModelExporter):
    """Hands an embedder over: it takes token ids, and the tokenizer's file lies beside it."""

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.fitted.lookup.vocabulary - 1), "outputs": (-1, 1)}

    def reading(self) -> str:
        return READING
