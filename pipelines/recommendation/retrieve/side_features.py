"""How the columns of side tables become numbers for towers."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from horngate.pipelines.recommendation.interactions.side_files import SideTable, floats_of

WORDS = 2000  # of a column, the most frequent ones
WORDS_OF_CELL = 16
NUMBERS_FROM = 10  # different values, from which on a column of numbers counts as numbers


@dataclass(frozen=True)
class Features:
    """How the columns of a side table become numbers, fixed by those who were learnt from.

    Attributes:
        numbers: column → mean and spread.
        words: (column, word) → token, from 1 on; a category is a word of its own.
    """

    numbers: dict[str, tuple[float, float]]
    words: dict[str, dict[str, int]]

    @classmethod
    def of(cls, side: SideTable) -> "Features":
        """Return the features of a side table: numbers where all cells are some, words of texts and categories else."""
        numbers, words, token = {}, {}, 1
        for name, cells in side.columns.items():
            values = floats_of(cells)
            if values is not None and len(np.unique(values[np.isfinite(values)])) >= NUMBERS_FROM:
                known = values[np.isfinite(values)]
                numbers[name] = (float(known.mean()), float(known.std()) or 1.0)
                continue
            counts = Counter(word for cell in cells for word in _words(cell))
            kept = [word for word, _ in counts.most_common(WORDS)]
            words[name] = {word: token + place for place, word in enumerate(kept)}
            token += len(kept)
        return cls(numbers, words)

    @property
    def tokens(self) -> int:
        """How many tokens there are, with 0 for none."""
        return 1 + sum(len(words) for words in self.words.values())

    def arrays(self, side: SideTable, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens int32 `[n, t]` (0 for none) and numbers float32 `[n, g]` (0 where unknown) of some ids."""
        rows = {name: row for row, name in enumerate(side.ids)}
        places = [rows.get(name) for name in ids]
        width = max(1, WORDS_OF_CELL * len(self.words))
        tokens, numbers = (
            np.zeros((len(ids), width), np.int32),
            np.zeros((len(ids), max(1, len(self.numbers))), np.float32),
        )
        for column, (name, (mean, spread)) in enumerate(self.numbers.items()):
            values = floats_of(side.columns[name])
            for row, place in enumerate(places):
                if place is not None and np.isfinite(values[place]):
                    numbers[row, column] = np.clip((values[place] - mean) / spread, -5, 5)
        for column, (name, words) in enumerate(self.words.items()):
            for row, place in enumerate(places):
                found = [
                    words[word]
                    for word in _words(None if place is None else side.columns[name][place])
                    if word in words
                ]
                found = found[:WORDS_OF_CELL]
                tokens[row, column * WORDS_OF_CELL : column * WORDS_OF_CELL + len(found)] = found
        return tokens, numbers


def _words(cell: str | None) -> list[str]:
    return [] if cell is None else re.findall(r"[^\s,;|/]+", cell.casefold())
