"""What transcribing says of its answers: measures, what is confused, the worst transcripts, and what a page shows."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics import transcripts
from horngate.pipelines.metrics.transcripts import Transcripts, alignment
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.speech.audio import players
from horngate.pipelines.speech.ctc.vocabulary import SAID, normalised
from horngate.pipelines.speech.transcribe import plots as drawn
from horngate.pipelines.speech.transcribe.recordings import heard_at

WORST, CONFUSED, SPEAKERS = 20, 20, 30  # in a report


class Judging:
    """The part of a transcribing task that judges; the whole has `card` and `schema`."""

    card: Any
    schema: dict[str, Any]

    # How good is it?

    def compared(self, said: list[str], targets: list[str], heard: list[float], spent: Any = None) -> Transcripts:
        """Return how texts compare with the true ones, both normalised as the card says."""
        sides = [[normalised(text or "", self.card.normaliser) for text in texts] for texts in (targets, said)]
        return transcripts.compared(*sides, heard, spent)

    def outcome(self, answers: pa.Table) -> Transcripts:
        names = ("text", "target", "seconds_heard", "seconds_computed")
        return self.compared(*(answers[name].to_pylist() for name in names))

    def outcome_of(self, outputs: list[str], targets: list[str | None]) -> Transcripts:
        return self.compared(outputs, targets, [0.0] * len(outputs))

    def guess(self, outcome: Transcripts) -> Transcripts:
        """Answer nothing at all."""
        return outcome.silent()

    def measures(self, outcome: Transcripts) -> dict[str, tuple[Any, Any]]:
        return transcripts.measures(outcome)

    def details(self, answers: pa.Table, outcome: Transcripts) -> dict[str, Any]:
        counts = transcripts.totals(outcome)
        errors, words = outcome.words[:, 1:].sum(1), outcome.words[:, :3].sum(1)
        rates = errors / np.maximum(words, 1)
        parts = [alignment(*pair) for pair in self._pairs(answers)]
        confused = _confused(parts)
        details = {
            "errors": counts,
            "confused": confused,
            "seconds": {"heard": float(outcome.heard.sum()), "computed": float(outcome.spent.sum())},
            "tables": [drawn.counts_table(counts), *drawn.confused_table(confused)],
            "mistakes": self._worst(answers, rates, errors),
        }
        speakers = _by_speaker(answers["group"].to_pylist(), errors, words)
        if speakers:
            details["speakers"] = speakers[:SPEAKERS]
            details["tables"].append(drawn.speakers_table(speakers[:SPEAKERS], len(speakers)))
        return details

    def _pairs(self, answers: pa.Table) -> list[tuple[str, str]]:
        """Return (truth, answer) of each row, normalised."""
        both = zip(answers["target"].to_pylist(), answers["text"].to_pylist(), strict=True)
        return [tuple(normalised(text or "", self.card.normaliser) for text in pair) for pair in both]

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

    # What does its page show?

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        outcome = self.outcome(answers)
        return drawn.plots(outcome, answers["confidence"].to_numpy(), report.details["errors"])

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the alignment of each answer with its target, and the beginning of each recording to be played."""
        pairs = [(row["target"], row["said"]) for row in answers]
        normal = [tuple(normalised(text or "", self.card.normaliser) for text in pair) for pair in pairs]
        rate = self.schema["rate"]
        heard = [players.shown(heard_at(data, rate), rate) for data in inputs_of(rows)]
        pairs = zip(heard, normal, strict=True)
        return [replace(one, marks=drawn.marks(alignment(*pair))) for one, pair in pairs]

    def model_card(self) -> dict[str, str]:
        said = f" Texts are compared after normalisation ({self.card.normaliser}: {SAID[self.card.normaliser]})."
        card = super().model_card()
        return card | {"Limits": card["Limits"] + said}

    # Which of two runs is better?

    def unlike(self, other: "Judging") -> str | None:
        if self.card.normaliser != other.card.normaliser:
            return (
                f"their texts are compared after other normalisers: {self.card.normaliser} and {other.card.normaliser}"
            )
        return None

    def right(self, answers: pa.Table) -> np.ndarray:
        return np.array([truth == said for truth, said in self._pairs(answers)], bool)


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
