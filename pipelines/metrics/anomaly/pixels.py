"""Measures of heat maps against masks, from counts of pixels by level of their score: memory grows with the number of

pictures and levels, not with that of pixels, and a bootstrap over pictures only adds counts up.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

LEVELS = 4096  # of scores; half of them stand in the upper third, where anomalies are
UPPER = 0.3  # share of the places that get half of the levels; the false positive rate up to which `aupro` looks
LARGEST = 1 << 27  # bytes of all counts; many pictures share fewer levels
FEWEST = 256


@dataclass(frozen=True)
class Pixels(ByRow):
    """Counts of the pixels of n pictures at L levels of their score, rising.

    Attributes:
        normal: float32 `[n, L]`, pixels outside of defects.
        anomalous: float32 `[n, L]`, pixels of defects.
        overlap: float32 `[n, L]`, shares of each connected defect's pixels, summed over the picture's defects.
        regions: float64 `[n]`, how many connected defects a picture has.
    """

    normal: np.ndarray
    anomalous: np.ndarray
    overlap: np.ndarray
    regions: np.ndarray

    def levelled(self) -> "Pixels":
        """Return the same pixels, all at one level: what one score for every pixel is worth."""
        sums = (part.sum(1, keepdims=True) for part in (self.normal, self.anomalous, self.overlap))
        return Pixels(*sums, self.regions)


def edges_of(maps: np.ndarray, pictures: int) -> np.ndarray:
    """Return rising borders between levels, float64 `[≤ L - 1]`, by quantiles of scores.

    Args:
        maps: scores of many places, any shape.
        pictures: how many will be counted, which bounds the number of levels.
    """
    levels = int(np.clip(LARGEST // (12 * max(pictures, 1)), FEWEST, LEVELS))
    shares = np.concatenate([np.linspace(0, 1 - UPPER, levels // 2), np.linspace(1 - UPPER, 1, levels // 2)[1:]])
    return np.unique(np.quantile(maps.astype(np.float64), shares))


def counted(pictures: Iterable[tuple[np.ndarray, np.ndarray | None] | None], edges: np.ndarray) -> Pixels:
    """Return the counts of pictures, one at a time.

    Args:
        pictures: for each its scores float `[h, w]` and its defects bool `[h, w]` (None for none); None for a picture
            that isn't counted.
        edges: as of `edges_of`.
    """
    found = [_levels_of(picture, edges) for picture in pictures]
    normal, anomalous, overlap = (np.array([row[part] for row in found], np.float32) for part in range(3))
    return Pixels(normal, anomalous, overlap, np.array([row[3] for row in found], np.float64))


def _levels_of(picture: tuple[np.ndarray, np.ndarray | None] | None, edges: np.ndarray) -> tuple:
    """Return normal, anomalous and overlapping pixels by level, and the number of connected defects.

    Pixels that touch at a corner are connected, as in the evaluation of Bergmann et al. 2021.
    """
    count = len(edges) + 1
    nothing = np.zeros(count, np.float32)
    if picture is None:
        return nothing, nothing, nothing, 0
    scores, mask = picture
    levels = np.searchsorted(edges, scores.ravel(), side="right")
    every = np.bincount(levels, minlength=count).astype(np.float32)
    if mask is None or not mask.any():
        return every, nothing, nothing, 0
    named, regions = label(mask, np.ones((3, 3)))
    inside = mask.ravel()
    own, names = levels[inside], named.ravel()[inside]
    anomalous = np.bincount(own, minlength=count).astype(np.float32)
    sizes = np.bincount(names, minlength=regions + 1)
    overlap = np.bincount(own, weights=1 / sizes[names], minlength=count).astype(np.float32)
    return every - anomalous, anomalous, overlap, regions


def pixel_auroc(pixels: Pixels) -> Measure:
    """Area under the ROC curve over all pixels; those of one level tie and count half.

    Raises:
        Uncomputable: no pixel of a defect, or none outside.
    """
    _check(pixels)

    def measure(weights: np.ndarray) -> float:
        misses, hits = _down(weights, pixels.normal), _down(weights, pixels.anomalous)
        return _area(misses, hits, 1.0) if misses[-1] and hits[-1] else np.nan

    return measure


def aupro(pixels: Pixels) -> Measure:
    """Area under the per-region overlap, the mean share of each connected defect that is found, up to a false positive

    rate of 0.3 over all pixels outside of defects, divided by 0.3 (Bergmann et al. 2021, IJCV 129, section 5.2). One score
    for all pixels has 0.15.

    Raises:
        Uncomputable: no pixel of a defect, or none outside.
    """
    _check(pixels)

    def measure(weights: np.ndarray) -> float:
        misses, hits = _down(weights, pixels.normal), _down(weights, pixels.overlap)
        return _area(misses, hits, UPPER) if misses[-1] and hits[-1] else np.nan

    return measure


def overlap_curve(pixels: Pixels, points: int = 100) -> dict[str, list[float]]:
    """Return the curve under `aupro`: false positive rates from 0 to 0.3 and the mean overlap at each."""
    ones = np.ones(len(pixels.regions))
    misses, hits = _down(ones, pixels.normal), _down(ones, pixels.overlap)
    rates = np.linspace(0, UPPER, points)
    overlaps = np.interp(rates, *_curve(misses, hits))
    return {"false_positive_rate": rates.tolist(), "overlap": overlaps.tolist()}


MEASURES = {"pixel_auroc": Spec(pixel_auroc), "aupro": Spec(aupro)}


def measures(pixels: Pixels) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the measures of heat maps, or why there is none."""
    return prepared(MEASURES, pixels)


def _check(pixels: Pixels) -> None:
    if not pixels.anomalous.any():
        raise Uncomputable("no mask shows a defect")
    if not pixels.normal.any():
        raise Uncomputable("no pixel lies outside of defects")


def _down(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return float64 `[L]`: the weighted counts from the highest level down to each."""
    return np.cumsum((weights.astype(np.float32) @ counts)[::-1], dtype=np.float64)


def _curve(misses: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])


def _area(misses: np.ndarray, hits: np.ndarray, limit: float) -> float:
    """Return the mean height of the curve between 0 and `limit`."""
    across, up = _curve(misses, hits)
    inside = np.searchsorted(across, limit, side="right")
    last = np.interp(limit, across, up)
    return float(np.trapezoid(np.append(up[:inside], last), np.append(across[:inside], limit))) / limit
