"""What is known of words beside their sound: which there are, and how they follow each other."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from horngate.pipelines.spec.errors import UserError

END = "</s>"  # of a text; no normalised word holds these signs


class Lexicon:
    """A list of words that may be answered."""

    def __init__(self, words: Iterable[str]):
        self.words = frozenset(words)
        self.beginnings = frozenset(word[:end] for word in self.words for end in range(1, len(word) + 1))

    def __contains__(self, word: str) -> bool:
        return word in self.words

    def begins(self, part: str) -> bool:
        """Whether some word begins so."""
        return part in self.beginnings


class Ngrams:
    """How likely words follow each other, by counts of up to `order` words, smoothed (Witten & Bell 1991).

    A word's probability after a history mixes how often it followed there with its probability after the history without
    its first word; the more different words followed, the more weight has the latter. At the end stands one share for each
    word that was counted, and one for all others together.
    """

    def __init__(self, order: int, followers: dict[tuple[str, ...], Counter]):
        self.order, self.followers = order, followers
        self.totals = {history: counts.total() for history, counts in followers.items()}
        self.even = 1.0 / (len(followers.get((), ())) + 1)

    @classmethod
    def counted(cls, texts: Iterable[str], order: int) -> "Ngrams":
        """Return the counts of normalised texts."""
        followers: dict[tuple[str, ...], Counter] = defaultdict(Counter)
        for text in texts:
            words = [*text.split(), END]
            for place, word in enumerate(words):
                for length in range(min(order - 1, place) + 1):
                    followers[tuple(words[place - length : place])][word] += 1
        return cls(order, dict(followers))

    def log(self, before: tuple[str, ...], word: str | None) -> float:
        """Return the log-probability of a word (None for the end of the text) after others."""
        history = before[max(len(before) - self.order + 1, 0) :]
        return math.log(self._probability(history, END if word is None else word))

    def _probability(self, history: tuple[str, ...], word: str) -> float:
        shorter = self._probability(history[1:], word) if history else self.even
        counts = self.followers.get(history)
        if counts is None:
            return shorter
        return (counts[word] + len(counts) * shorter) / (self.totals[history] + len(counts))

    def plain(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        counts = [[list(history), dict(found)] for history, found in sorted(self.followers.items())]
        return {"order": self.order, "counts": counts}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Ngrams":
        """Return what `plain` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(plain["order"], {tuple(history): Counter(found) for history, found in plain["counts"]})


def lines_of(path: str, encoding: str, flag: str) -> list[str]:
    """Return the lines of a text file that hold something.

    Args:
        flag: names the file in errors.

    Raises:
        UserError: missing, no text of that encoding, or nothing in it.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding).splitlines()]
    except OSError as problem:
        raise UserError(f"{flag} {path} can't be read: {problem.strerror or problem}") from None
    except (UnicodeDecodeError, LookupError) as problem:
        raise UserError(f"{flag} {path} is no text in {encoding} ({problem}); give its --encoding") from None
    if not any(lines):
        raise UserError(f"{flag} {path} holds no line")
    return [line for line in lines if line]
