"""How spans are shown, and how a tagger is handed over."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.nlp.tag.alignment import SHAPES
from horngate.pipelines.nlp.tag.example import SAYING, reading
from horngate.pipelines.nlp.tag.tag_errors import around
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.texts import raw_text
from horngate.pipelines.report.classification import per_class
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.parts import Titles


class SpanDisplay(PageDisplay):
    """Shows spans within their texts."""

    titles = Titles(mistakes_said="surest entities that are none, and some that were missed (without a score)")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        table, lengths = report.details["per_class"], report.details.get("tokens")
        found = [per_class(table)] if any(row["f1"] is not None for row in table) else []
        return found + ([token_lengths(lengths)] if lengths else [])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the texts around the spans in question, these marked."""
        texts = [raw_text(data, self.card.encoding) for data in inputs_of(rows)]
        return [Shown(text=text, marks=around(text, answer)) for text, answer in zip(texts, answers, strict=True)]

    def model_card(self) -> dict[str, str]:
        types = self.fitted.decisions.types
        said = f"Spans of {len(types)} types ({', '.join(types)}), none within another."
        return {"Answers": f"{said} Start and end count the characters of the raw text."} | super().model_card()


class TagExporter(ModelExporter):
    """Hands a tagger over: it takes token ids with the shapes of their words, and the tokenizer's file lies beside it."""

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.fitted.schema["vocabulary"] * len(SHAPES) - 1), "outputs": (0, 1)}

    def reading(self) -> str:
        return reading(self.fitted.schema["vocabulary"])

    def answering(self) -> str:
        return SAYING

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the label of each token that doesn't fill up."""
        there = outputs.sum(-1) > 0
        return [
            {"tags": [self.fitted.decisions.labels[place] for place in scores[own].argmax(-1)]}
            for scores, own in zip(outputs, there, strict=True)
        ]
