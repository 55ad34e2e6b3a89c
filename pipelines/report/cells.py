"""Cells of tables: how a value reads, and how it sorts."""

from numbers import Integral, Real
from typing import Any

from markupsafe import Markup, escape

DIGITS = 3
SHORT = 24  # signs of a text that stays on one line


def shown(value: Any) -> Any:
    """Return how a value reads: numbers short and with thousands separated, None as a dash, all else as it is."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Real):
        return number(value)
    return value


def number(value: float | None, digits: int = DIGITS, signed: bool = False) -> str:
    """Return a number with so many decimals, and more where rounding would say 0 or 1 of what is neither."""
    if value is None:
        return "–"
    sign = "+" if signed else ""
    if isinstance(value, Integral):
        return f"{int(value):{sign},}".replace("-", "\u2212")
    if abs(value) >= 100:
        return f"{value:{sign},.0f}".replace("-", "\u2212")
    if abs(value) >= 10:
        digits = min(digits, 1)
    text = f"{value:{sign}.{digits}f}"
    while float(text) in (0.0, 1.0) and float(text) != value and digits < 6:
        digits += 1
        text = f"{value:{sign}.{digits}f}"
    if float(text) == 0 and value != 0:
        text = f"{value:{sign}.0e}".replace("e-0", "e-")
    return text.replace("-", "\u2212")


def interval(low: float | None, high: float | None, digits: int = DIGITS) -> str:
    """Return an interval as text; a dash where there is none."""
    return "–" if low is None or high is None else f"{number(low, digits)}\u00a0–\u00a0{number(high, digits)}"


def size(count: int | None) -> str:
    """Return bytes as text."""
    if count is None:
        return "not known on this platform"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def seconds(value: float) -> str:
    """Return a duration as text."""
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def kind(value: Any) -> str:
    """Return the class of a cell: `number`, `short` for what stays on one line, or `text`."""
    if value is None or (isinstance(value, Real) and not isinstance(value, bool)):
        return "number"
    return "text" if isinstance(value, str) and len(value) > SHORT else "short"


def sort_value(value: Any) -> str:
    """Return the attribute by which the script sorts a cell; none for texts, which sort as they read."""
    if value is None:
        return Markup(' data-value=""')
    if isinstance(value, Real) and not isinstance(value, bool):
        return Markup(f' data-value="{escape(float(value))}"')
    return ""


def are_numbers(values: list[Any]) -> bool:
    """Whether a column holds numbers, beside empty cells."""
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, Real) and not isinstance(value, bool) for value in there)


def can_sort(values: list[Any]) -> bool:
    """Whether a column can be sorted by: it holds several values, and no drawings."""
    return len(values) > 1 and not any(isinstance(value, Markup) for value in values)
