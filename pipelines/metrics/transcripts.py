"""Measures of transcripts: total errors over total words or signs, never a mean over rows; functions of row weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import needed
from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

KINDS = ("hits", "substitutions", "deletions", "insertions")
Part = tuple[str, list[str], list[str]]  # equal, substitute, delete or insert; words of the truth; words of the answer


@dataclass(frozen=True)
class Transcripts(ByRow):
    """How transcripts compare with the truth, row by row.

    Attributes:
        words, signs: float64 `[n, 4]`, counts of `KINDS`.
        heard: float64 `[n]`, seconds of sound.
        spent: float64 `[n]`, seconds that were computed for it; NaN where that isn't known.
    """

    words: np.ndarray
    signs: np.ndarray
    heard: np.ndarray
    spent: np.ndarray

    def silent(self) -> "Transcripts":
        """Return what an answer without a word, at no time, would have scored."""
        words, signs = (_all_deleted(counts) for counts in (self.words, self.signs))
        return replace(self, words=words, signs=signs, spent=np.zeros_like(self.spent))


def compared(
    truth: Sequence[str], said: Sequence[str], heard: Sequence[float], spent: Sequence[float] | None = None
) -> Transcripts:
    """Return how normalised answers compare with the normalised truth, by the alignments with fewest errors.

    Args:
        heard: seconds of sound of each row.
        spent: seconds that were computed for each, where that was measured.
    """
    words = [_counted(alignment(right, answer)) for right, answer in zip(truth, said, strict=True)]
    signs = [_counted(alignment(right, answer, signs=True)) for right, answer in zip(truth, said, strict=True)]
    shaped = [np.array(counts, np.float64).reshape(len(truth), len(KINDS)) for counts in (words, signs)]
    seconds = np.array(heard, np.float64)
    return Transcripts(*shaped, seconds, np.full(len(truth), np.nan) if spent is None else np.array(spent, np.float64))


def alignment(truth: str, said: str, signs: bool = False) -> list[Part]:
    """Return what of the truth became what of the answer, in runs, by `jiwer`.

    Args:
        truth, said: normalised texts.
        signs: whether to compare characters (spaces among them) instead of words.
    """
    left, right = (list(text) if signs else text.split() for text in (truth, said))
    if not left or not right:
        kind = "insert" if right else "delete"
        return [(kind, left, right)] if left or right else []
    jiwer = needed("jiwer", "aligning transcripts", "speech")
    found = jiwer.process_characters(truth, said) if signs else jiwer.process_words(truth, said)
    return [
        (run.type, left[run.ref_start_idx : run.ref_end_idx], right[run.hyp_start_idx : run.hyp_end_idx])
        for run in found.alignments[0]
    ]


def _counted(parts: list[Part]) -> list[int]:
    """Return the counts of `KINDS` in an alignment."""
    counts = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for kind, left, right in parts:
        counts[kind] += max(len(left), len(right))
    return list(counts.values())


def _all_deleted(counts: np.ndarray) -> np.ndarray:
    total = counts[:, :3].sum(1)
    none = np.zeros_like(total)
    return np.stack([none, none, total, none], axis=1)


def _rate(counts: np.ndarray, what: str) -> Measure:
    """Substitutions, deletions and insertions over what there is in the truth."""
    errors, total = counts[:, 1:].sum(1), counts[:, :3].sum(1)
    if not total.any():
        raise Uncomputable(f"no true transcript holds a {what}")
    return _ratio(errors, total)


def _ratio(above: np.ndarray, below: np.ndarray) -> Measure:
    def measure(weights: np.ndarray) -> float:
        total = float(weights @ below)
        return float(weights @ above) / total if total else np.nan

    return measure


def _sentence_error_rate(outcome: Transcripts) -> Measure:
    """Share of the rows with an error."""
    return _ratio((outcome.words[:, 1:].sum(1) > 0).astype(np.float64), np.ones(len(outcome)))


def _real_time_factor(outcome: Transcripts) -> Measure:
    """Seconds of computing over seconds of sound."""
    if np.isnan(outcome.spent).any():
        raise Uncomputable("the time of computing is not known")
    if not outcome.heard.any():
        raise Uncomputable("no row holds any sound")
    return _ratio(outcome.spent, outcome.heard)


SPECS = {
    "wer": Spec(lambda outcome: _rate(outcome.words, "word"), higher_is_better=False),
    "cer": Spec(lambda outcome: _rate(outcome.signs, "sign"), higher_is_better=False),
    "sentence_error_rate": Spec(_sentence_error_rate, higher_is_better=False),
    "real_time_factor": Spec(_real_time_factor, higher_is_better=False, unit="seconds per second"),
}


def measures(outcome: Transcripts) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the measures by name."""
    return prepared(SPECS, outcome)


def totals(outcome: Transcripts) -> dict[str, dict[str, int]]:
    """Return the counts of all rows together, of words and of signs: total, hits, substitutions, deletions, insertions."""
    found: dict[str, Any] = {}
    for name, counts in (("words", outcome.words), ("signs", outcome.signs)):
        sums = counts.sum(0).astype(int).tolist()
        found[name] = {"total": sum(sums[:3])} | dict(zip(KINDS, sums, strict=True))
    return found
