"""Slices: the rows that share a value of a column, measured apart."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

MOST = 20  # values of one column


def slices_of(values: list[str | None]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (value, row numbers) for a column: each value, quarters of a column of many numbers, or the 20 largest."""
    known = np.array(["" if value is None else str(value) for value in values], dtype=object)
    counts = Counter(known)
    if len(counts) > MOST and (numbers := _numbers(known)) is not None:
        yield from _quarters(numbers)
        return
    for value, _ in counts.most_common(MOST):
        yield value or "(none)", np.flatnonzero(known == value)


def worth_slicing(values: list[str | None]) -> bool:
    """Whether a column splits the rows into a few parts: 2 to 20 values."""
    return 2 <= len(set(values)) <= MOST


def _numbers(values: np.ndarray) -> np.ndarray | None:
    try:
        return np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return None


def _quarters(numbers: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    for place, (low, high) in enumerate(pairwise(edges)):
        first = place == 0
        inside = (numbers >= low if first else numbers > low) & (numbers <= high)
        yield f"{'[' if first else '('}{low:g}, {high:g}]", np.flatnonzero(inside)
    if np.isnan(numbers).any():
        yield "(none)", np.flatnonzero(np.isnan(numbers))
