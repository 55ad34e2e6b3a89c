"""Measures of masks, case by case: a case is a picture or a volume, and each measure a function of the cases' weights.

The rule for empty masks: a class that stands neither in the truth nor in the answer of a case is left out there; one that
stands in only one of both has Dice, IoU and surface Dice 0, and as its distance the diagonal of the case. A case without
any class is left out. The first class is the background, which no measure but the pixel accuracy counts.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from horngate.pipelines.metrics.surfaces import border_distances, hausdorff, within
from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

RULE = (
    "a class that is neither in the truth nor in the answer of a case is left out there; where it is in only one of them, "
    "dice, iou and surface dice are 0, and hd95 is the diagonal of the case"
)


@dataclass(frozen=True)
class Cases(ByRow):
    """What is known of cases whose masks were compared; all arrays but `spaced` are NaN where a class is left out.

    Attributes:
        counts: int64 `[n, classes, classes]`: labelled pixels of each class (axis 1) by the class of the answer (axis 2).
        hd95: float64 `[n, classes]`, in mm where `spaced`, else in pixels.
        surface_dice: float64 `[n, classes]`.
        diagonals: float64 `[n]`, of the cases.
        spaced: bool `[n]`: whether a case's spacing is known.
    """

    counts: np.ndarray
    hd95: np.ndarray
    surface_dice: np.ndarray
    diagonals: np.ndarray
    spaced: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """float64 `[n, classes]`: pixels of each class."""
        return self.counts.sum(2).astype(np.float64)

    @property
    def said(self) -> np.ndarray:
        """float64 `[n, classes]`: labelled pixels that are answered as each class."""
        return self.counts.sum(1).astype(np.float64)

    @property
    def both(self) -> np.ndarray:
        """float64 `[n, classes]`: pixels of each class that are answered so."""
        return np.diagonal(self.counts, axis1=1, axis2=2).astype(np.float64)


def compared(
    truth: np.ndarray, said: np.ndarray, classes: int, spacing: tuple[float, ...] | None, tolerance: float
) -> dict[str, Any]:
    """Return what `Cases` knows of one case, as plain lists: `counts` (flat), `hd95`, `surface_dice`, `diagonal`.

    Args:
        truth: class numbers, integers `[h, w]` or `[d, h, w]`; what is no class is unlabelled, and counts nowhere.
        said: class numbers of the same shape.
        spacing: mm between neighbours along each axis, or None: distances are in pixels then.
        tolerance: of the surface Dice coefficient, in the same unit.
    """
    known = truth < classes
    flat = truth[known].astype(np.int64) * classes + said[known]
    counts = np.bincount(flat, minlength=classes * classes)
    square, steps = counts.reshape(classes, classes), spacing or (1.0,) * truth.ndim
    diagonal = float(np.linalg.norm(np.array(truth.shape) * steps))
    distances, shares = [np.nan] * classes, [np.nan] * classes
    for number in range(1, classes):
        sides = bool(square[number].sum()), bool(square[:, number].sum())
        if all(sides):
            both = border_distances((truth == number) & known, (said == number) & known, steps)
            distances[number], shares[number] = hausdorff(*both), within(*both, tolerance)
        elif any(sides):
            distances[number], shares[number] = diagonal, 0.0
    return {"counts": counts.tolist(), "hd95": distances, "surface_dice": shares, "diagonal": diagonal}


def nothing_said(cases: Cases) -> Cases:
    """Return what saying background everywhere would have scored on the same cases."""
    there = cases.truth > 0
    there[:, 0] = False
    counts = np.zeros_like(cases.counts)
    counts[:, :, 0] = cases.counts.sum(2)
    distances = np.where(there, cases.diagonals[:, None], np.nan)
    return replace(cases, counts=counts, hd95=distances, surface_dice=np.where(there, 0.0, np.nan))


def dice(cases: Cases) -> np.ndarray:
    """Return float64 `[n, classes]`: twice the common pixels over the sum of both (Dice 1945)."""
    return _share(2 * cases.both, cases.truth + cases.said)


def iou(cases: Cases) -> np.ndarray:
    """Return float64 `[n, classes]`: common pixels over those of either (Jaccard 1901)."""
    return _share(cases.both, cases.truth + cases.said - cases.both)


def volume_error(cases: Cases) -> np.ndarray:
    """Return float64 `[n, classes]`: how far the answered area or volume is off, as a share of the true one."""
    return _share(np.abs(cases.said - cases.truth), cases.truth)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(whole > 0, part / whole, np.nan)
    found[:, 0] = np.nan
    return found


def by_case(values: np.ndarray) -> np.ndarray:
    """Return float64 `[n]`, the mean of each case's classes; NaN where none counts."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known.any(1), np.where(known, values, 0.0).sum(1) / known.sum(1), np.nan)


def _mean(values_of) -> Any:
    """Return what makes a measure of an outcome: the mean over cases of the mean over their classes."""

    def prepare(cases: Cases) -> Measure:
        values = by_case(values_of(cases))
        known = ~np.isnan(values)
        if not known.any():
            raise Uncomputable("no case has a class beside the background")
        filled = np.where(known, values, 0.0)

        def measure(weights: np.ndarray) -> float:
            sums = weights[known].sum()
            return float(weights @ filled) / float(sums) if sums else np.nan

        return measure

    return prepare


def _distance(cases: Cases) -> Measure:
    if cases.spaced.any() and not cases.spaced.all():
        raise Uncomputable(
            "the spacing of some cases is known and of others not, so their distances have no common unit"
        )
    return _mean(lambda own: own.hd95)(cases)


def _accuracy(cases: Cases) -> Measure:
    right, labelled = cases.both.sum(1), cases.truth.sum(1)
    if not labelled.any():
        raise Uncomputable("no pixel is labelled")

    def measure(weights: np.ndarray) -> float:
        sums = float(weights @ labelled)
        return float(weights @ right) / sums if sums else np.nan

    return measure


def measures(cases: Cases) -> dict[str, tuple[Spec, Measure | str]]:
    """Return all measures of cases."""
    unit = "mm" if len(cases) and cases.spaced.all() else "pixels"
    specs = {
        "dice": Spec(_mean(dice)),
        "iou": Spec(_mean(iou)),
        "hd95": Spec(_distance, False, unit),
        "surface_dice": Spec(_mean(lambda own: own.surface_dice)),
        "volume_error": Spec(_mean(volume_error), False, "of the truth"),
        "pixel_accuracy": Spec(_accuracy),
    }
    return prepared(specs, cases)


def per_class(cases: Cases, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return for each class but the background: how many cases have it, how it scores in them, and what was missed.

    `missed` counts cases that have the class and no answer of it, `made_up` those with an answer and without the class.
    """
    kinds = {"dice": dice(cases), "iou": iou(cases), "hd95": cases.hd95, "surface_dice": cases.surface_dice}
    kinds["volume_error"] = volume_error(cases)
    truth, said = cases.truth > 0, cases.said > 0
    found = []
    for number, label in enumerate(labels[1:], 1):
        means = {name: _known_mean(values[:, number]) for name, values in kinds.items()}
        there, told = truth[:, number], said[:, number]
        counts = {
            "cases": int(there.sum()),
            "missed": int((there & ~told).sum()),
            "made_up": int((told & ~there).sum()),
        }
        found.append({"label": label, **counts, **means})
    return found


def _known_mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def per_pixel(cases: Cases, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class over the labelled pixels of all cases, and how many cases have it."""
    truth, said, both = (part.sum(0) for part in (cases.truth, cases.said, cases.both))
    there = (cases.truth > 0).sum(0)
    return [
        {
            "label": label,
            "rows": int(there[number]),
            "precision": _over(both[number], said[number]),
            "recall": _over(both[number], truth[number]),
            "f1": _over(2 * both[number], truth[number] + said[number]),
        }
        for number, label in enumerate(labels)
    ]


def _over(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
