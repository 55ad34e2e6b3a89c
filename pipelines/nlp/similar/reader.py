"""Pairs of texts: which files they are, how they are read, and what may be wrong with them."""

from copy import copy
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.nlp.similar.pairs import Facts, float_of, inspected_pair, one_or_two
from horngate.pipelines.nlp.text.reader import TokenReader, statistics_of
from horngate.pipelines.nlp.text.texts import SUFFIXES
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.parts import Fitted


class PairRows(ListedRows):
    """Pairs of texts, with scores or without."""

    suffixes = SUFFIXES

    def findings(self, table: pa.Table, facts: list[Facts], splits: np.ndarray | None) -> list[Finding]:
        ids, targets = table["id"].to_pylist(), table["target"].to_pylist()
        bad = [row for row, target in enumerate(targets) if target is not None and float_of(target) is None]
        if bad:
            message = f"{len(bad)} scores are no numbers (first: {ids[bad[0]]}, {targets[bad[0]]!r})"
            return [Finding("error", "no_number", message, len(bad), tuple(ids[row] for row in bad[:5]))]
        if any(target is not None for target in targets) and len(set(targets)) < 2:
            return [Finding("error", "one_score", f"all pairs have the score {targets[0]}", len(targets))]
        return []


class PairReader(TokenReader):
    """Reads the texts of a row, one or two, as token ids int32 `[n]` each."""

    sides = "either"

    def taking(self, sides: str) -> "PairReader":
        """Return a reader of rows that hold `both` texts, or of the `first` alone; lengths are counted here."""
        other = copy(self)
        other.sides = sides
        return other

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return inspected_pair(data, self.card.encoding)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        return self.fitted_to([text for fact in facts for text in (fact.first, fact.second)])

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> tuple[np.ndarray, ...]:
        texts = [text for text in one_or_two(data, self.card.encoding) if text is not None]
        if self.sides == "both" and len(texts) < 2:
            raise Unreadable("no second text, so there is no similarity to measure")
        return tuple(map(self._ids, texts[: 1 if self.sides == "first" else 2]))

    def _ids(self, text: str) -> np.ndarray:
        ids, cut = self.tokens.ids(text)
        self.lengths.saw(len(ids) + cut, cut)
        return ids

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        text, _ = one_or_two(data, self.card.encoding)
        return statistics_of(text, len(tensor))
