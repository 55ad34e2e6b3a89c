"""How good transcripts are, what is confused, and which are worst."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import transcripts
from horngate.pipelines.metrics.transcripts import Transcripts, alignment
from horngate.pipelines.speech.ctc.vocabulary import all_normalised
from horngate.pipelines.speech.transcribe.plots import confused_table, counts_table, speakers_table
from horngate.pipelines.tasks.bases import TableEvaluator
from horngate.pipelines.tasks.task import Task

WORST, CONFUSED, SPEAKERS = 20, 20, 30  # in a report


class TranscriptEvaluator(TableEvaluator):
    """Measures transcripts against the true ones, both normalised as the card says."""

    def compared(self, said: list[str | None], targets: list[str | None]) -> Transcripts:
        """Return the outcome of texts whose sound isn't known."""
        both = (all_normalised(texts, self.card.normaliser) for texts in (targets, said))
        return transcripts.compared(*both, [0.0] * len(said))

    def outcome(self, answers: pa.Table) -> Transcripts:
        seconds = (answers[name].to_pylist() for name in ("seconds_heard", "seconds_computed"))
        return transcripts.compared(*self._normalised(answers), *seconds)

    def trivial(self, outcome: Transcripts) -> Transcripts:
        """Answer nothing at all."""
        return outcome.silent()

    def metrics(self, outcome: Transcripts) -> dict[str, tuple[Any, Any]]:
        return transcripts.measures(outcome)

    def details(self, answers: pa.Table, outcome: Transcripts) -> dict[str, Any]:
        counts = transcripts.totals(outcome)
        errors, words = outcome.words[:, 1:].sum(1), outcome.words[:, :3].sum(1)
        rates = errors / np.maximum(words, 1)
        parts = [alignment(*pair) for pair in zip(*self._normalised(answers), strict=True)]
        confused = _confused(parts)
        details = {
            "errors": counts,
            "confused": confused,
            "seconds": {"heard": float(outcome.heard.sum()), "computed": float(outcome.spent.sum())},
            "tables": [counts_table(counts), *confused_table(confused)],
            "mistakes": self._worst(answers, rates, errors),
        }
        speakers = _by_speaker(answers["group"].to_pylist(), errors, words)
        if speakers:
            details["speakers"] = speakers[:SPEAKERS]
            details["tables"].append(speakers_table(speakers[:SPEAKERS], len(speakers)))
        return details

    def correct(self, answers: pa.Table) -> np.ndarray:
        return np.array([truth == said for truth, said in zip(*self._normalised(answers), strict=True)], bool)

    def incomparable(self, other: Task) -> str | None:
        own, others = self.card.normaliser, other.card.normaliser
        return None if own == others else f"their texts are compared after other normalisers: {own} and {others}"

    def _normalised(self, answers: pa.Table) -> list[list[str]]:
        """Return the true texts, and those that were answered, as they are compared."""
        return [all_normalised(answers[name].to_pylist(), self.card.normaliser) for name in ("target", "text")]

    def _worst(self, answers: pa.Table, rates: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
        """Return the rows with the highest word error rate; of equal ones, those with more errors first."""
        order = [int(row) for row in np.lexsort((-errors, -rates)) if errors[row]][:WORST]
        return [
            {
                "id": answers["id"][row].as_py(),
                "target": answers["target"][row].as_py(),
                "label": answers["text"][row].as_py() or "(nothing)",
                "score": float(rates[row]),
                "said": answers["text"][row].as_py(),
            }
            for row in order
        ]


def _confused(parts: list[list]) -> list[dict[str, Any]]:
    """Return what is most often taken for what: single words, what was lost, and what was made up."""
    counts: Counter = Counter()
    for runs in parts:
        for kind, left, right in runs:
            if kind == "substitute":
                counts.update(zip(left, right, strict=True))
            elif kind == "delete":
                counts.update((word, None) for word in left)
            elif kind == "insert":
                counts.update((None, word) for word in right)
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0])))
    return [{"truth": truth, "answer": said, "times": count} for (truth, said), count in ranked[:CONFUSED]]


def _by_speaker(groups: list[str | None], errors: np.ndarray, words: np.ndarray) -> list[dict[str, Any]]:
    """Return rows, words and word error rate of each speaker, the worst first; none where only one is known."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            rows.setdefault(group, []).append(row)
    if len(rows) < 2:
        return []
    found = [
        {"speaker": name, "rows": len(own), "words": int(words[own].sum()), "errors": int(errors[own].sum())}
        for name, own in rows.items()
    ]
    found = [row | {"wer": row["errors"] / row["words"] if row["words"] else None} for row in found]
    return sorted(found, key=lambda row: (-(row["wer"] or 0.0), row["speaker"]))
