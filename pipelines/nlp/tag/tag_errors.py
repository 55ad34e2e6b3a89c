"""What a tagger got wrong, the surest first, and how a page shows it."""

from typing import Any

from horngate.pipelines.nlp.tag.spans import Span

MISTAKES = 20  # in a report: half of them spurious, half missed, where there are as many
NOTHING = "no entity"
AROUND = 100  # characters that are shown on both sides of a span


def mistakes_of(ids: list[str], said: list[list[Span]], true: list[list[Span]]) -> list[dict[str, Any]]:
    """Return the spurious entities with the highest scores, and missed ones (without a score) that nothing stands in for.

    Each has `id`, `target`, `label`, `score`, `start`, `end`; a target of another span or type stands beside the answer.
    """
    spurious, missed = [], []
    for name, answers, targets in zip(ids, said, true, strict=True):
        wanted = {span.bare for span in targets}
        for span in answers:
            if span.bare not in wanted:
                there = [target.label for target in targets if target.start < span.end and span.start < target.end]
                target = ", ".join(there) + (" (other borders)" if span.label in there else "") or NOTHING
                spurious.append(_row(name, span, target, span.label, span.score))
        for span in targets:
            if not any(answer.start < span.end and span.start < answer.end for answer in answers):
                missed.append(_row(name, span, span.label, NOTHING, None))
    spurious.sort(key=lambda row: -row["score"])
    least = min(len(missed), MISTAKES // 2)
    spurious = spurious[: MISTAKES - least]
    return spurious + missed[: MISTAKES - len(spurious)]


def _row(name: str, span: Span, target: str, label: str, score: float | None) -> dict[str, Any]:
    return {"id": name, "target": target, "label": label, "score": score, "start": span.start, "end": span.end}


def around(text: str, mistake: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the text around a mistake in runs, each with its strength: 3 for the span in question, 0 for the rest."""
    start, end = mistake["start"], mistake["end"]
    before, after = text[max(start - AROUND, 0) : start], text[end : end + AROUND]
    left, right = "…" if start > AROUND else "", "…" if len(text) > end + AROUND else ""
    return (f"{left}{before}", 0), (text[start:end], 3), (f"{after}{right}", 0)
