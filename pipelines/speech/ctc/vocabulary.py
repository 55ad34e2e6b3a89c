"""How transcripts are written before they are learnt and compared, and which units a network spells them in."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, write_json

SAID = {
    "plain": "Unicode NFKC, lower case, no punctuation but apostrophes inside words, single spaces",
    "none": "single spaces, nothing else is changed",
}
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")  # of a word: one inside it
FEW_WORDS, OFTEN = 64, 5  # a vocabulary so small, whose words stand so often on average, is learnt word by word


def normalised(text: str, normaliser: str) -> str:
    """Return a transcript as it is compared.

    Args:
        normaliser: `plain` or `none`, as `SAID` describes them.
    """
    if normaliser == "none":
        return " ".join(text.split())
    text = unicodedata.normalize("NFKC", text).lower()
    text = APOSTROPHE.sub("'", text)
    inside = {found.start() for found in APOSTROPHE.finditer(text)}
    kept = [
        sign if place in inside or unicodedata.category(sign)[0] in "LMN" else " " for place, sign in enumerate(text)
    ]
    return " ".join("".join(kept).split())


def all_normalised(texts: Iterable[str | None], normaliser: str) -> list[str]:
    """Return transcripts as they are compared; a missing one is empty."""
    return [normalised(text or "", normaliser) for text in texts]


@dataclass(frozen=True)
class CtcVocabulary:
    """What a network spells transcripts in; number 0 is the blank, the first unit is 1.

    Attributes:
        kind: `characters` (the space is one of them) or `words`.
        names: the units, in order.
    """

    kind: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], kind: str = "auto") -> "CtcVocabulary":
        """Return the units of normalised training transcripts; `auto` takes words where there are few and each is frequent.

        Raises:
            UserError: the transcripts hold none.
        """
        words = Counter(word for text in texts for word in text.split())
        if not words:
            raise UserError("no training transcript holds a word once it is normalised, so there is nothing to learn")
        if kind == "auto":
            few = len(words) <= FEW_WORDS and words.total() >= OFTEN * len(words)
            kind = "words" if few else "characters"
        if kind == "words":
            return cls(kind, tuple(sorted(words)))
        return cls(kind, (" ", *sorted({sign for word in words for sign in word})))

    def __len__(self) -> int:
        return len(self.names)

    def parts(self, text: str) -> list[str]:
        """Return a normalised text cut into units, known or not."""
        return text.split() if self.kind == "words" else list(text)

    def unknown(self, text: str) -> list[str]:
        """Return the units in a normalised text that were not learnt."""
        known = set(self.names)
        return [part for part in self.parts(text) if part not in known]

    def encoded(self, text: str) -> list[int]:
        """Return the numbers of a normalised text; units that were not learnt are left out."""
        places = {name: place for place, name in enumerate(self.names, 1)}
        return [places[part] for part in self.parts(text) if part in places]

    def text(self, numbers: Iterable[int]) -> str:
        """Return the text of numbers."""
        parts = [self.names[number - 1] for number in numbers]
        return " ".join((" " if self.kind == "words" else "").join(parts).split())

    def write(self, path: Path) -> None:
        """Write `labels.json`: what the network's outputs stand for, the blank first."""
        write_json(path, {"units": self.kind, "labels": ["(blank)", *self.names]})

    @classmethod
    def read(cls, path: Path) -> "CtcVocabulary":
        """Return what `write` wrote.

        Raises:
            UserError: missing or damaged.
        """
        try:
            kept = read_json(path)
            return cls(kept["units"], tuple(kept["labels"][1:]))
        except (KeyError, TypeError):
            raise UserError(f"{path} is damaged: it should hold `units` and `labels`") from None
