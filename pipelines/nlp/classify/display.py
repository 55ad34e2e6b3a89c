"""How sorted texts are measured, shown and handed over, and which of their words carry an answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.reader import READING
from horngate.pipelines.nlp.text.texts import texts_of
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.classification.display import LabelDisplay, LabelExporter
from horngate.pipelines.tasks.classification.evaluator import LabelEvaluator

MOST = 24  # words of a text that are left out in turn; of a longer one, the first


def carrying(text: str, score_of: Callable[[list[str]], np.ndarray]) -> list[tuple[str, float]]:
    """Return the words of a text, each with what it carries: 1 for the one that carries most, 0 for none or against.

    Args:
        score_of: returns the score of the answer for texts, float `[n]`.
    """
    words = text.split()
    tried = range(min(len(words), MOST))
    without = [" ".join(words[:place] + words[place + 1 :]) or "." for place in tried]
    scores = score_of([text, *without])
    falls = np.zeros(len(words))
    falls[: len(without)] = np.maximum(scores[0] - scores[1:], 0)
    most = falls.max(initial=0.0)
    return [(word, float(fall / most) if most > 0.001 else 0.0) for word, fall in zip(words, falls, strict=True)]


def marked(words: list[tuple[str, float]]) -> list[tuple[str, int]]:
    """Return runs of words with a strength from 0 (plain) to 3."""
    runs: list[tuple[str, int]] = []
    for word, share in words:
        strength = int(share > 0.15) + int(share > 0.4) + int(share > 0.75)
        if runs and runs[-1][1] == strength:
            runs[-1] = (f"{runs[-1][0]} {word}", strength)
        else:
            runs.append((word, strength))
    return runs


EXPLAINED = 10  # mistakes whose words are weighed


class TextEvaluator(LabelEvaluator):
    """Measures labels of texts, and counts how long these are."""

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        lengths = self.task.reader.lengths
        return super().details(answers, outcome) | lengths.told(self.fitted.schema["length"], cut=True)


class TextDisplay(LabelDisplay):
    """Shows texts, and which of their words carry an answer."""

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = report.details.get("tokens")
        return super().plots(answers, report) + ([token_lengths(found)] if found else [])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the texts; of the first ones, where the model is open, with the words that carry the answer."""
        paired = self.fitted.schema["paired"]
        parts = [texts_of(data, paired, self.card.encoding) for data in inputs_of(rows)]
        found = [Shown(text=" | ".join(part for part in pair if part)) for pair in parts]
        if not paired and self.fitted.model is not None:
            for place, ((text, _), answer) in enumerate(zip(parts[:EXPLAINED], answers, strict=False)):
                words = carrying(text, partial(self._score_of, answer["label"]))
                found[place] = Shown(text=text, marks=tuple(marked(words)))
        return found

    def _score_of(self, label: str, texts: list[str]) -> np.ndarray:
        """Return the score of one label for texts, float32 `[n]`."""
        predictor, size = self.task.predictor, self.task.predictor.batch_size
        tensors = [self.fitted.lookup.ids(text)[0] for text in texts]
        steps = range(0, len(tensors), size)
        parts = [self.task.reader.collate(tensors[at : at + size], size) for at in steps]
        scores = np.concatenate([np.asarray(predictor.core.predict_on_batch(part)) for part in parts])[: len(texts)]
        return scores[:, self.fitted.decisions.labels.index(label)]


class TextExporter(LabelExporter):
    """Hands a sorter of texts over: it takes token ids, and the tokenizer's file lies beside it."""

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.fitted.lookup.vocabulary - 1), "outputs": (0, 1)}

    def reading(self) -> str:
        return READING
