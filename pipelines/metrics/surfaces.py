"""How far the borders of two masks lie apart, in the unit of the spacing: by exact Euclidean distance transforms."""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

SHARE = 95  # percent of a border's places that lie nearer than the distance that is taken


def border(mask: np.ndarray) -> np.ndarray:
    """Return bool of the shape of a mask: its places that touch, along an axis, one outside of it or the picture's edge."""
    return mask & ~binary_erosion(mask)


def border_distances(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each place of the first mask's border the distance to the second's, float64, and the other way round.

    Args:
        first, second: bool of equal shape, in two or three dimensions, none of them empty.
        spacing: the distance of neighbours along each axis.
    """
    where = _box(first | second)
    borders = [border(mask)[where] for mask in (first, second)]
    found = [distance_transform_edt(~one, sampling=spacing) for one in borders]
    return found[1][borders[0]], found[0][borders[1]]


def hausdorff(first: np.ndarray, second: np.ndarray) -> float:
    """Return the larger of the 95th percentiles of distances both ways (HD95; Huttenlocher et al. 1993)."""
    return float(max(np.percentile(first, SHARE), np.percentile(second, SHARE)))


def within(first: np.ndarray, second: np.ndarray, tolerance: float) -> float:
    """Return the share of both borders' places that lie within the tolerance of the other border.

    That is the surface Dice coefficient of Nikolov et al. 2018 (arXiv 1809.04430), each place of a border counting alike.
    """
    near = (first <= tolerance).sum() + (second <= tolerance).sum()
    return float(near / (len(first) + len(second)))


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box around a mask."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        found.append(slice(places[0], places[-1] + 1))
    return tuple(found)
