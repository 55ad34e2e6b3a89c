"""Prefix beam search over the log-probabilities of a CTC network (Graves & Jaitly 2014; Hannun et al. 2014)."""

import math
from dataclasses import dataclass

import numpy as np

from horngate.pipelines.speech.ctc.decoding import BLANK
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary
from horngate.pipelines.speech.ctc.word_models import Lexicon, Ngrams

LEAST = -8.0  # log-probability below which a unit is not tried in a frame
NEVER = -math.inf
MOST_BEFORE = 5  # words of a history


@dataclass(frozen=True)
class Language:
    """What is known of the words beside what is heard.

    Attributes:
        vocabulary: how the network spells.
        lexicon: the words that may be answered, or None for any.
        ngrams: how words follow each other, or None.
        weight: of the log-probability of words against that of sounds.
        bonus: added for each word, since every further word makes a text less likely.
    """

    vocabulary: CtcVocabulary
    lexicon: Lexicon | None = None
    ngrams: Ngrams | None = None
    weight: float = 0.0
    bonus: float = 0.0


class _Prefix:
    """A beginning of a text. One that is reached in several ways is one object, so that it is compared by identity.

    Attributes:
        before: what it continues by one unit, or None; number: of that unit.
        words: its last finished words; part: the word that is being spelt.
        told: what the words are worth to the language.
    """

    __slots__ = ("before", "number", "part", "told", "words")

    def __init__(self, before: "_Prefix | None", number: int | None, words: tuple[str, ...], part: str, told: float):
        self.before, self.number, self.words, self.part, self.told = before, number, words, part, told

    @property
    def numbers(self) -> tuple[int, ...]:
        found, prefix = [], self
        while prefix.before is not None:
            found.append(prefix.number)
            prefix = prefix.before
        return tuple(reversed(found))


class Search:
    """A prefix beam search.

    Args:
        language: what prefixes are allowed and worth.
        width: prefixes that are kept after each frame.
    """

    def __init__(self, language: Language, width: int):
        self.language, self.width, self.grown = language, width, {}

    def best(self, scores: np.ndarray) -> tuple[int, ...]:
        """Return the units of the likeliest text.

        Args:
            scores: log-probabilities float32 `[frames, units + 1]`, the blank first.
        """
        self.grown.clear()
        # Of each beginning: the log-probabilities that it ended in a blank, and in its last unit.
        beams = {_Prefix(None, None, (), "", 0.0): (0.0, NEVER)}
        for frame in scores.astype(np.float64):
            beams = self._stepped(beams, frame)
        ended = [(_joint(*ends) + prefix.told + self._end(prefix), prefix) for prefix, ends in beams.items()]
        allowed = [entry for entry in ended if entry[0] > NEVER]
        if allowed:
            return max(allowed, key=lambda entry: entry[0])[1].numbers
        return self._without_last(max(beams, key=lambda prefix: _joint(*beams[prefix]) + prefix.told))

    def _stepped(self, beams: dict, frame: np.ndarray) -> dict:
        """Return the beams after one more frame."""
        found: dict[_Prefix, list[float]] = {}
        tried = [int(unit) for unit in np.flatnonzero(frame > LEAST) if unit != BLANK]
        for prefix, (blank, unit) in beams.items():
            last = prefix.number
            own = found.setdefault(prefix, [NEVER, NEVER])
            own[0] = _joint(own[0], _joint(blank, unit) + frame[BLANK])
            if last is not None:
                own[1] = _joint(own[1], unit + frame[last])
            for number in tried:
                longer = self._longer(prefix, number)
                if longer is not None:
                    before = blank if number == last else _joint(blank, unit)
                    other = found.setdefault(longer, [NEVER, NEVER])
                    other[1] = _joint(other[1], before + frame[number])
        ranked = sorted(found.items(), key=lambda entry: -(_joint(*entry[1]) + entry[0].told))
        return {prefix: tuple(ends) for prefix, ends in ranked[: self.width]}

    def _longer(self, prefix: _Prefix, number: int) -> _Prefix | None:
        """Return a prefix with one more unit; None where the lexicon doesn't allow it."""
        key = (prefix, number)
        if key not in self.grown:
            self.grown[key] = self._grow(prefix, number)
        return self.grown[key]

    def _grow(self, prefix: _Prefix, number: int) -> _Prefix | None:
        language, name = self.language, self.language.vocabulary.names[number - 1]
        if language.vocabulary.kind == "words":
            return self._finished(prefix, name, number)
        if name == " ":
            return self._finished(prefix, prefix.part, number) if prefix.part else None
        part = prefix.part + name
        if language.lexicon is not None and not language.lexicon.begins(part):
            return None
        return _Prefix(prefix, number, prefix.words, part, prefix.told)

    def _finished(self, prefix: _Prefix, word: str, number: int) -> _Prefix | None:
        """Return a prefix after one more whole word."""
        if self.language.lexicon is not None and word not in self.language.lexicon:
            return None
        told = prefix.told + self._worth(prefix.words, word)
        return _Prefix(prefix, number, (*prefix.words, word)[-MOST_BEFORE:], "", told)

    def _worth(self, before: tuple[str, ...], word: str | None) -> float:
        language = self.language
        told = language.bonus if word is not None else 0.0
        return told + (language.weight * language.ngrams.log(before, word) if language.ngrams is not None else 0.0)

    def _end(self, prefix: _Prefix) -> float:
        """Return what it is worth that the text ends here; never, inside a word that the lexicon doesn't know."""
        if not prefix.part:
            return self._worth(prefix.words, None)
        if self.language.lexicon is not None and prefix.part not in self.language.lexicon:
            return NEVER
        return self._worth(prefix.words, prefix.part) + self._worth((*prefix.words, prefix.part), None)

    def _without_last(self, prefix: _Prefix) -> tuple[int, ...]:
        """Return the units of a prefix up to the end of its last whole word."""
        numbers = prefix.numbers
        return numbers[: len(numbers) - len(prefix.part)]


def _joint(left: float, right: float) -> float:
    """Return the logarithm of the sum of two probabilities given as logarithms."""
    if left < right:
        left, right = right, left
    return left if right == NEVER else left + math.log1p(math.exp(right - left))
