"""Texts with labels, and pairs of texts: which files they are, how they are read, and what a run keeps of that."""

from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.reader import TokenReader, statistics_of
from horngate.pipelines.nlp.text.texts import SUFFIXES, Facts, inspected, texts_of
from horngate.pipelines.tasks.classification.predictor import LabelledRows, LabelPredictor
from horngate.pipelines.tasks.parts import Fitted


class TextRows(LabelledRows):
    """Texts with labels."""

    suffixes = SUFFIXES


class TextReader(TokenReader):
    """Reads a text, or a pair of texts, as token ids int32 `[n]`."""

    @property
    def paired(self) -> bool:
        """Whether a row is a pair of texts."""
        return bool(self.schema.get("paired")) or self.card.pair_column is not None

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return inspected(data, self.paired, self.card.encoding)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        return self.fitted_to([fact.text for fact in facts]).having(schema={"paired": self.paired})

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        ids, cut = self.tokens.ids(*texts_of(data, self.schema["paired"], self.card.encoding))
        self.lengths.saw(len(ids) + cut, cut)
        return ids

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        text = " ".join(part for part in texts_of(data, self.schema["paired"], self.card.encoding) if part)
        return statistics_of(text, len(tensor))


class TextPredictor(LabelPredictor):
    """Answers texts with labels."""

    def load_state(self, folder: Path) -> Fitted:
        fitted = super().load_state(folder)
        tokens = tokenizers.opened(folder / "tokenizer.json", fitted.schema["length"])
        return fitted.having(lookup=tokens, files=(*fitted.files, "tokenizer.json"))
