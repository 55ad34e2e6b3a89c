"""Texts with labelled spans: which files they are, how they are read, and what may be wrong with them."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding, label_findings
from horngate.pipelines.nlp.tag.alignment import SHAPES, laid_out
from horngate.pipelines.nlp.tag.spans import labels_of, words_of
from horngate.pipelines.nlp.text.reader import TokenReader, statistics_of
from horngate.pipelines.nlp.text.texts import SUFFIXES, Facts, raw_text, seen_in
from horngate.pipelines.nlp.text.tokenizers import Tokens
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.parts import Fitted

NONE = "(no entity)"


class SpanRows(ListedRows):
    """Texts with spans."""

    suffixes = SUFFIXES

    def findings(self, table: pa.Table, facts: list[Facts], splits: np.ndarray | None) -> list[Finding]:
        names = [labels_of(target) for target in table["target"].to_pylist()]
        if not any(names):
            return [Finding("error", "no_entity", "no row has a span, so there is nothing to learn", len(names))]
        return [finding for finding in label_findings(names, splits) if finding.code != "one_class"]

    def stratum(self, target: str) -> str:
        return ", ".join(labels_of(target)) or NONE


class WindowReader(TokenReader):
    """Reads a text as windows of tokens, int32 `[tokens, 3]` each, see `laid_out`."""

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Facts(raw_text(data, self.card.encoding), seen_in(data))

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        fitted = self.fitted_to([fact.text for fact in facts])
        schema = {"vocabulary": fitted.lookup.vocabulary, "shapes": list(SHAPES)}
        length = fitted.schema["length"]
        return fitted.having(schema=schema, lookup=Tokens(fitted.lookup.tokenizer, length, overlap_of(length)))

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> tuple[np.ndarray, ...]:
        text, length = raw_text(data, self.card.encoding), self.schema["length"]
        windows = self.tokens.windows(text)
        own = [len(window.ids) - sum(window.special_tokens_mask) for window in windows]
        beyond = sum(own[1:]) - (len(own) - 1) * overlap_of(length)
        self.lengths.saw(len(windows[0].ids) + beyond, beyond)
        return laid_out(windows, text, words_of(text), self.schema["vocabulary"])

    def ids_of(self, tensor: np.ndarray) -> np.ndarray:
        return tensor[:, 0]

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        return statistics_of(raw_text(data, self.card.encoding), len(tensor))


def overlap_of(length: int) -> int:
    """Return how many tokens two windows of a text have in common."""
    return (length - 2) // 2
