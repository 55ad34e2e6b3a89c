"""How spans are shown, and how a tagger is handed over."""

from inspect import getsource
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.nlp.tag.alignment import SHAPES, shape_of, words_of_tokens
from horngate.pipelines.nlp.tag.spans import WORD
from horngate.pipelines.nlp.tag.tag_errors import around
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.texts import raw_text
from horngate.pipelines.report.classification import per_class
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.parts import Titles

READING = """import re
from bisect import bisect_right

import numpy as np
from tokenizers import Encoding, Tokenizer

SHAPES = {shapes}
WORD = re.compile({pattern!a})
tokenizer = Tokenizer.from_file(str(Path(__file__).parent / "tokenizer.json"))


{shape_of}

{words_of_tokens}

def encoded(path):  # of a text that is longer than the model takes, the first window
    text = Path(path).read_text("utf-8")
    return text, tokenizer.encode(text)


def read(path):
    text, window = encoded(path)
    words = [found.span() for found in WORD.finditer(text)]
    shapes = [shape_of(text[slice(*words[word])]) if word >= 0 else 0 for word in words_of_tokens(window, words)]
    return np.array(window.ids, np.int32) + {vocabulary} * np.array(shapes, np.int32)
"""
SAYING = """def answer(path, outputs):  # the first piece of a word is the one that counts
    text, window = encoded(path)
    labels = [names[place] for place in outputs.argmax(-1)]
    pieces = [text[start:end] for start, end in window.offsets]
    return [f"{piece}/{label}" for piece, label in zip(pieces, labels) if piece and label != names[0]]
"""


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


def reading(vocabulary: int) -> str:
    """Return the source of `read(path)` of a model whose tokens have numbers below `vocabulary`."""
    parts = {"shape_of": getsource(shape_of), "words_of_tokens": getsource(words_of_tokens)}
    return READING.format(shapes=SHAPES, pattern=WORD.pattern, vocabulary=vocabulary, **parts)
