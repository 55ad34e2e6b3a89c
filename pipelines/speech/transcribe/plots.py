"""What transcribing tasks draw: which errors there are, what confidence is worth, and answers laid beside the truth."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.transcripts import KINDS, Part, Transcripts
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, THIRD, bare
from horngate.pipelines.report.plot import Plot

WORDS_SHOWN = 12  # equal words in a row that are shown whole


def counts_table(counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Return the table of errors as the page takes it, from what `totals` says."""
    return {
        "title": "Errors",
        "said": "Of the alignments with fewest errors, all rows together. The rate is substitutions, deletions and "
        "insertions over what there is in the truth; it may exceed 1.",
        "columns": ["", "in the truth", *KINDS, "rate"],
        "rows": [
            [name, own["total"], *(own[kind] for kind in KINDS), _rate(own)]
            for name, own in ((name, counts[name]) for name in ("words", "signs"))
        ],
    }


def _rate(own: dict[str, int]) -> float | None:
    return sum(own[kind] for kind in KINDS[1:]) / own["total"] if own["total"] else None


def confused_table(confused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the table of the most frequent errors; none where there are no errors."""
    if not confused:
        return []
    rows = [[row["truth"] or "(nothing)", row["answer"] or "(nothing)", row["times"]] for row in confused]
    said = "Nothing in the truth: a word was made up. Nothing in the answer: a word was lost."
    return [{"title": "Most frequent errors", "said": said, "columns": ["truth", "answer", "times"], "rows": rows}]


def speakers_table(speakers: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """Return the table of the speakers with the highest word error rate."""
    shown = (
        f"The {len(speakers)} with the highest word error rate of {count}" if count > len(speakers) else "All of them"
    )
    return {
        "title": "Speakers",
        "said": f"{shown}, worst first.",
        "columns": ["speaker", "rows", "words", "errors", "word error rate"],
        "rows": [[row[name] for name in ("speaker", "rows", "words", "errors", "wer")] for row in speakers],
    }


def marks(parts: list[Part]) -> tuple[tuple[str, int], ...]:
    """Return an alignment as runs of text with a strength: errors as [truth → answer], what is equal as it is."""
    found: list[tuple[str, int]] = []
    for kind, left, right in parts:
        if kind == "equal":
            found.append((_shortened(left), 0))
        elif kind == "substitute":
            found += [(f"[{truth} → {said}]", 3) for truth, said in zip(left, right, strict=True)]
        elif kind == "delete":
            found.append((f"[{_shortened(left)} → ·]", 2))
        else:
            found.append((f"[· → {_shortened(right)}]", 2))
    return tuple(found)


def _shortened(words: list[str]) -> str:
    if len(words) <= WORDS_SHOWN:
        return " ".join(words)
    half = WORDS_SHOWN // 2
    return " ".join([*words[:half], "…", *words[-half:]])


def plots(outcome: Transcripts, confidence: np.ndarray, counts: dict[str, dict[str, int]]) -> list[Plot]:
    """Return the plots of transcripts: kinds of errors, and the error rate of the surest share of the rows.

    Args:
        confidence: float64 `[n]`, of the rows.
    """
    found = [_kinds(counts)] if counts["words"]["total"] else []
    return found + ([_surest(outcome, confidence)] if len(outcome) > 1 and counts["words"]["total"] else [])


def _kinds(counts: dict[str, dict[str, int]]) -> Plot:
    names = ("words", "signs")
    shares = {kind: [100 * counts[name][kind] / max(counts[name]["total"], 1) for name in names] for kind in KINDS[1:]}

    def draw(axes) -> None:
        places = np.arange(len(names))
        for number, (kind, colour) in enumerate(zip(KINDS[1:], (ACCENT, SECOND, THIRD), strict=True)):
            axes.bar(places + 0.26 * (number - 1), shares[kind], 0.24, color=colour, label=kind)
        axes.set_xticks(places, names)
        axes.set_ylabel("in 100 of the truth")
        axes.set_ylim(0, max(1.0, 1.1 * max(map(max, shares.values()))))
        axes.legend(loc="best")
        bare(axes, "y")

    said = "; ".join(
        f"{name}: " + ", ".join(f"{shares[kind][place]:.1f} {kind}" for kind in KINDS[1:])
        for place, name in enumerate(names)
    )
    return Plot("error-kinds", "Kinds of errors", f"Errors in 100 of the truth. {said}.", draw, "", 340, 300)


def _surest(outcome: Transcripts, confidence: np.ndarray) -> Plot:
    order = np.argsort(-confidence, kind="stable")
    errors, words = outcome.words[order, 1:].sum(1).cumsum(), outcome.words[order, :3].sum(1).cumsum()
    shares = np.arange(1, len(order) + 1) / len(order)
    rates = errors / np.maximum(words, 1)
    half = float(rates[max(len(order) // 2 - 1, 0)])

    def draw(axes) -> None:
        axes.plot(100 * shares, 100 * rates, color=ACCENT)
        axes.axhline(100 * rates[-1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 100), xlabel="% of the rows, surest first", ylabel="word error rate, %")
        axes.set_ylim(0, max(100 * float(rates.max()) * 1.1, 1.0))
        bare(axes, "both")

    text = f"Word error rate of the surest rows: {100 * half:.1f} % of the surer half, {100 * rates[-1]:.1f} % of all."
    caption = "Dashed: all rows. Where the line falls to the left, confidence tells which transcripts to look over."
    return Plot("surest", "What confidence is worth", text, draw, caption, 400, 300, section="calibration")
