"""What a run knows of words beside their sound, and how its weight is chosen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.ctc.beam_search import Language, Search
from horngate.pipelines.speech.ctc.decoding import greedy
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary, all_normalised
from horngate.pipelines.speech.ctc.word_models import Lexicon, Ngrams, lines_of
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json, write_json

WEIGHTS, BONUSES = (0.2, 0.5, 1.0), (0.0, 1.0)  # that are tried on validation rows


@dataclass(frozen=True)
class UnitDecoder:
    """How log-probabilities become units.

    Attributes:
        language: what is known of words; used by `beam` alone.
        decoding: `greedy` or `beam`; beam: beginnings that are kept.
    """

    language: Language
    decoding: str = "greedy"
    beam: int = 16

    def units(self, scores: np.ndarray) -> tuple[int, ...]:
        """Return the units of log-probabilities float32 `[frames, units + 1]`."""
        return greedy(scores) if self.decoding == "greedy" else Search(self.language, self.beam).best(scores)

    def protocol(self) -> dict[str, Any]:
        """Return how texts are found, in words, for a report's protocol."""
        language = self.language
        if self.decoding == "greedy":
            return {"decoding": "greedy: the likeliest unit of each frame"}
        said = f"prefix beam search, {self.beam} beginnings"
        said += f", {len(language.lexicon.words):,} words allowed" if language.lexicon else ""
        if language.ngrams:
            said += f", {language.ngrams.order}-grams of words, weight {language.weight:g}, {language.bonus:g} a word"
        return {"decoding": said}

    def write(self, path: Path) -> None:
        """Write `language.json`."""
        language = self.language
        kept = {"decoding": self.decoding, "beam": self.beam, "weight": language.weight, "bonus": language.bonus}
        kept["words"] = sorted(language.lexicon.words) if language.lexicon else None
        kept["ngrams"] = language.ngrams.plain() if language.ngrams else None
        write_json(path, kept)

    @classmethod
    def read(cls, path: Path, vocabulary: CtcVocabulary) -> "UnitDecoder":
        """Return what `write` wrote.

        Raises:
            UserError: missing or damaged.
        """
        kept = read_json(path)
        try:
            lexicon = Lexicon(kept["words"]) if kept["words"] is not None else None
            ngrams = Ngrams.of(kept["ngrams"]) if kept["ngrams"] is not None else None
            language = Language(vocabulary, lexicon, ngrams, kept["weight"], kept["bonus"])
            return cls(language, kept["decoding"], kept["beam"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path} is damaged: it should say how texts are found") from None


def decoder_of(card: Any, vocabulary: CtcVocabulary, texts: Iterable[str]) -> UnitDecoder:
    """Return the decoder that a card asks for; the weight of n-grams is 1 until it is chosen.

    Args:
        texts: normalised training transcripts.

    Raises:
        UserError: a file that can't be read, a word list that allows nothing, or knobs that don't go together.
    """
    if card.decoding == "greedy":
        given = {"--words": card.words, "--ngram": card.ngram, "--ngram-text": card.ngram_text}
        if used := [flag for flag, value in given.items() if value]:
            raise UserError(f"{' and '.join(used)} needs a search over texts: add --decoding beam")
        return UnitDecoder(Language(vocabulary), "greedy", card.beam)
    lexicon, ngrams = None, None
    if card.words:
        lines = all_normalised(lines_of(card.words, card.encoding, "--words"), card.normaliser)
        lexicon = Lexicon(word for line in lines for word in line.split() if not vocabulary.unknown(word))
        if not lexicon.words:
            raise UserError(f"--words {card.words} holds no word that the training transcripts can spell")
    if card.ngram_text and not card.ngram:
        raise UserError("--ngram-text is for n-grams: say how many words they look at with --ngram")
    if card.ngram:
        further = lines_of(card.ngram_text, card.encoding, "--ngram-text") if card.ngram_text else []
        ngrams = Ngrams.counted([*texts, *all_normalised(further, card.normaliser)], card.ngram)
    return UnitDecoder(Language(vocabulary, lexicon, ngrams, 1.0 if ngrams else 0.0), "beam", card.beam)


def weighed(
    decoder: UnitDecoder, card: Any, errors: Callable[[UnitDecoder], float] | None
) -> tuple[UnitDecoder, list[dict]]:
    """Return the decoder with the weight of its n-grams, and what was tried.

    Args:
        errors: the error rate of a decoder on validation rows; None where there are none.
    """
    language = decoder.language
    if not language.ngrams:
        return decoder, []
    weights = WEIGHTS if card.ngram_weight is None else (card.ngram_weight,)
    choices = [replace(language, weight=weight, bonus=bonus) for weight, bonus in product(weights, BONUSES)]
    if errors is None:
        return replace(decoder, language=replace(language, weight=card.ngram_weight or WEIGHTS[1])), []
    tried = []
    for choice in progress.tracked(choices, "weighing n-grams", len(choices)):
        value = errors(replace(decoder, language=choice))
        tried.append({"weight": choice.weight, "bonus": choice.bonus, "wer": value})
    best = min(range(len(tried)), key=lambda place: tried[place]["wer"])
    return replace(decoder, language=choices[best]), tried
