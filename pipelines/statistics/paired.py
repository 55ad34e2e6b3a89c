"""Two models on the same rows: differences of measures, an exact test of right and wrong answers, many comparisons."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import convolve
from scipy.stats import binom, norm

from horngate.pipelines.statistics.intervals import DRAWS, LEAST_DRAWS, LEVEL, Measure, flawless, resampled, units_of

LEAST_BEYOND = 10  # draws beyond zero; a tail of fewer is taken from a normal curve
LEAST_TAIL = 1e-6  # so far a normal curve is believed


@dataclass(frozen=True)
class Difference:
    """What a second model scores more than a first: value, its 95 % interval and two-sided p-value, None where unknown."""

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def differences(
    first: dict[str, Measure],
    second: dict[str, Measure],
    rows: int,
    groups: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    raised: tuple[str, ...] = (),
) -> dict[str, Difference]:
    """Return second − first for the measures that both have, from a paired bootstrap.

    Both models see the same draws of rows, or of groups. The interval is the percentile one. The p-value is twice the
    share of draws that lie at zero or beyond it, the observed value counted as a draw, which inverts that interval
    (Efron & Tibshirani 1993, sections 13.3 and 15.4; Davison & Hinkley 1997, section 4.2). Where fewer than 10 draws lie
    there, that share is too coarse, and the tail of a normal curve with the draws' own spread stands for it, down to one
    in a million. No p-value is below that of a sign test in which all units agree, 2 / 2 ** units.

    Args:
        first, second: functions of row weights by name.
        rows: how many rows there are.
        groups: int64 `[rows]`; rows of one group are drawn together.
        draws: how many resamples.
        seed: draw number i depends on (seed, i) alone.
        raised: measures that resampling itself raises; their draws are shifted so that their mean is the value.
    """
    both = {name: _less(second[name], first[name]) for name in first if name in second}
    values = {name: both[name](np.ones(rows)) for name in both}
    units = units_of(rows, groups)
    if units < 2:
        return {name: Difference(_finite(value)) for name, value in values.items()}
    drawn = resampled(both, rows, groups, draws, seed)
    found = {}
    for place, (name, value) in enumerate(values.items()):
        column = drawn[:, place]
        found[name] = _difference(value, column[np.isfinite(column)], units, name in raised)
    return found


def _less(second: Measure, first: Measure) -> Measure:
    return lambda weights: second(weights) - first(weights)


def _difference(value: float, drawn: np.ndarray, units: int, raised: bool) -> Difference:
    if not np.isfinite(value) or len(drawn) < LEAST_DRAWS:
        return Difference(_finite(value))
    if raised:
        drawn = drawn - drawn.mean() + value
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if low == high and abs(value) == 1.0:  # nothing varies: all wrong against all right
        low, high = sorted(np.sign(value) * np.array(flawless(1.0, units)))
    return Difference(float(value), float(low), float(high), _p_value(value, drawn, units))


def _p_value(value: float, drawn: np.ndarray, units: int) -> float:
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    tail = (beyond + 1) / (len(drawn) + 1)
    spread = drawn.std()
    if beyond < LEAST_BEYOND and spread > 0:
        tail = min(tail, max(norm.sf(abs(value) / spread), LEAST_TAIL))
    elif beyond < LEAST_BEYOND:
        tail = LEAST_TAIL
    return float(np.clip(2 * tail, 2.0 ** (1 - min(units, 1000)), 1.0))


def sign_test(changes: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Return the exact two-sided p-value of changes from wrong to right (+1) and back (−1); 0 is no change.

    Under the hypothesis that both models are right equally often, each change could as well have gone the other way.
    Without groups this is the exact test of McNemar (1947), a binomial of the discordant rows. Rows of one group change
    sides together (the sign-flip test of Fisher 1935, on sums by group): the distribution of the sum of all flips is
    built by convolution, so it is exact there too.

    Args:
        changes: int `[n]` of −1, 0 and 1.
        groups: int64 `[n]`, or None.
    """
    sums = changes if groups is None else np.bincount(groups, changes).astype(np.int64)
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    chances, least = np.ones(1), 0  # chances[i] is that of the sum least + i
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        own = np.zeros(2 * size * count + 1)
        own[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances, least = convolve(chances, own), least - size * count
    reached = np.abs(np.arange(len(chances)) + least) >= abs(int(sums.sum()))
    return float(np.clip(chances[reached].sum(), 0.0, 1.0))


def holm(p_values: list[float | None]) -> list[float | None]:
    """Return p-values adjusted for how many there are (Holm 1979), in the same order; None stays and doesn't count."""
    known = [place for place, p_value in enumerate(p_values) if p_value is not None]
    adjusted, largest = list(p_values), 0.0
    for rank, place in enumerate(sorted(known, key=lambda place: p_values[place])):
        largest = max(largest, min((len(known) - rank) * p_values[place], 1.0))
        adjusted[place] = largest
    return adjusted


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
