"""Recordings with transcripts: which files they are, and what may be wrong with them.

Of transcripts: units that were never learnt, too much text for its sound, rare signs.
"""

from collections import Counter

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import SHOWN, Finding, findings_on
from horngate.pipelines.speech.audio.checks import sound_findings, speaker_findings
from horngate.pipelines.speech.audio.decoding import SUFFIXES
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary, all_normalised
from horngate.pipelines.speech.transcribe.recordings import Spoken
from horngate.pipelines.tasks.bases import ListedRows

FASTEST = 30.0  # signs per second: nobody speaks so fast
SLOWEST, LEAST_SECONDS = 0.5, 5.0  # signs per second, in recordings of at least so many seconds
RARE = 2  # rows


class TranscriptRows(ListedRows):
    """Recordings with transcripts."""

    suffixes = SUFFIXES

    def findings(self, table: pa.Table, facts: list[Spoken], splits: np.ndarray | None) -> list[Finding]:
        found = unlearnt(table, splits, self.card.normaliser, self.card.units) + speaker_findings(table)
        return found + (sound_findings(table, facts) + transcript_findings(table, facts) if facts else [])

    def stratum(self, target: str) -> str:
        return "transcripts"


def unlearnt(table: pa.Table, splits: np.ndarray | None, normaliser: str, kind: str) -> list[Finding]:
    """Return the warning that rows of validation or test hold units that no training row holds."""
    if splits is None:
        return []
    texts = all_normalised(table["target"].to_pylist(), normaliser)
    learnt = [text for text, split in zip(texts, splits, strict=True) if split == "train"]
    if not any(text.strip() for text in learnt):
        return []
    vocabulary = CtcVocabulary.of(learnt, kind)
    rows, missing = [], Counter()
    for row, text in enumerate(texts):
        if splits[row] != "train" and (found := set(vocabulary.unknown(text))):
            rows.append(row)
            missing.update(found)
    if not rows:
        return []
    shown = ", ".join(f'"{unit}" ({count})' for unit, count in missing.most_common(SHOWN))
    what = "words" if vocabulary.kind == "words" else "signs"
    message = (
        f"{len(rows)} rows of validation or test hold {what} that no training transcript holds, and that a CTC network "
        f"from a random start can't write: {shown}"
    )
    return findings_on("warning", "unseen_units", message, rows, table["id"].to_pylist(), first=True)


def transcript_findings(table: pa.Table, facts: list[Spoken]) -> list[Finding]:
    """Return findings on transcripts beside the lengths of their recordings."""
    ids = table["id"].to_pylist()
    texts = [fact.transcript or "" for fact in facts]
    speeds = [len(text) / max(fact.seconds, 1e-3) for text, fact in zip(texts, facts, strict=True)]
    fast = [row for row, speed in enumerate(speeds) if speed > FASTEST]
    slow = [
        row
        for row, speed in enumerate(speeds)
        if speed < SLOWEST and facts[row].seconds >= LEAST_SECONDS and texts[row]
    ]
    message = f"{{}} transcripts are longer than anyone could speak them (above {FASTEST:g} signs a second)"
    found = findings_on("warning", "too_much_text", message, fast, ids, first=True)
    message = "{} transcripts say next to nothing for the length of their recordings"
    found += findings_on("warning", "too_little_text", message, slow, ids, first=True)
    return found + _rare(texts, ids) + _words(texts)


def _rare(texts: list[str], ids: list[str]) -> list[Finding]:
    """Return a note on signs that stand in hardly any row, which are often typing errors or another script."""
    holders: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for sign in set(text):
            holders.setdefault(sign, []).append(row)
    rare = {sign: rows for sign, rows in sorted(holders.items()) if len(rows) <= RARE}
    if not rare or len(texts) < 10 * RARE:
        return []
    shown = ", ".join(f'"{sign}"' for sign in list(rare)[: 2 * SHOWN])
    rows = sorted({row for own in rare.values() for row in own})
    message = f"{len(rare)} signs stand in {RARE} transcripts or fewer: {shown}"
    return findings_on("note", "rare_signs", message, rows, ids, first=True)


def _words(texts: list[str]) -> list[Finding]:
    words = Counter(word for text in texts for word in text.split())
    signs = {sign for word in words for sign in word}
    message = f"{words.total():,} words, {len(words):,} different ones, of {len(signs)} signs, once they are normalised"
    return [Finding("note", "words", message, len(texts))]
