"""Intervals as bars: where a score lies, how sure that is, and what stands beside it."""

from markupsafe import Markup

from horngate.pipelines.report.cells import interval, number


def axis_of(scores: list[dict], unit: str, near: bool = False) -> tuple[float, float]:
    """Return the ends of an axis on which all these scores lie: 0 to 1 for shares, else from 0 (or the least) to the most.

    `near` asks for just these scores, with some room, so that small differences show.

    Args:
        scores: dicts with `value`, and `low`, `high`, `baseline` where there are any.
    """
    names = ("value", "low", "high", "baseline")
    values = [score[name] for score in scores for name in names if score.get(name) is not None]
    if not values or (not near and unit == "share" and min(values) >= 0 and max(values) <= 1):
        return 0.0, 1.0
    if near and max(values) > min(values):
        room = 0.1 * (max(values) - min(values))
        return min(values) - room, max(values) + room
    low, high = min(0.0, *values), max(0.0, *values)
    return low, high + 0.05 * (high - low) if high > low else low + 1.0


def interval_bar(score: dict, axis: tuple[float, float], rivals: tuple[float | None, ...] = ()) -> Markup:
    """Return an SVG bar: a line for the interval, a dot for the value, ticks for the baseline and for rivals."""
    if score.get("value") is None:
        return Markup("")

    def at(value: float) -> str:
        return f"{100 * min(max((value - axis[0]) / (axis[1] - axis[0]), 0), 1):.2f}%"

    parts = ['<line class="rail" x1="0" x2="100%" y1="50%" y2="50%" stroke-width="1"/>']
    for value, name in [(score.get("baseline"), "base"), *((value, "rival") for value in rivals)]:
        if value is not None:
            place = at(value)
            parts.append(f'<line class="{name}" x1="{place}" x2="{place}" y1="15%" y2="85%" stroke-width="2"/>')
    if score.get("low") is not None:
        ends = f'x1="{at(score["low"])}" x2="{at(score["high"])}"'
        parts.append(f'<line class="span" {ends} y1="50%" y2="50%" stroke-width="4"/>')
    parts.append(f'<circle cx="{at(score["value"])}" cy="50%" r="4.5" fill="var(--accent)"/>')
    span = f", 95 % interval {interval(score['low'], score['high'])}" if score.get("low") is not None else ""
    said = f"{number(score['value'])}{span}, between {number(axis[0])} and {number(axis[1])}"
    return Markup('<svg class="bar" role="img" aria-label="{}">{}</svg>').format(said, Markup("".join(parts)))
