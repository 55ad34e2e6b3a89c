"""One answered row against its mask: the columns that are measured, and the cases that metrics take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.medical.scans.volumes import Volume
from horngate.pipelines.metrics import segmentation
from horngate.pipelines.metrics.segmentation import Cases
from horngate.pipelines.tasks.task import Task

MEASURED = {
    "counts": pa.list_(pa.int64()),
    "hd95": pa.list_(pa.float64()),
    "surface_dice": pa.list_(pa.float64()),
    "diagonal": pa.float64(),
}
UNITS = {(True, True): "mm2", (True, False): "pixels", (False, True): "mm3", (False, False): "voxels"}  # flat, known


def tolerance_of(task: Task) -> float:
    """Return the tolerance of the surface Dice coefficient, in mm where the spacing is known, else in pixels."""
    wished = task.options.get("tolerance")
    return task.card.tolerance if wished is None else wished


def compared(volume: Volume, truth: np.ndarray, said: np.ndarray, classes: int, tolerance: float) -> dict[str, Any]:
    """Return how an answer compares with the truth, both class numbers uint8 `[planes, h, w]`.

    Returns:
        The columns of `MEASURED`, and `area_unit`.
    """
    pair = (truth[0], said[0]) if volume.flat else (truth, said)
    found = segmentation.compared(*pair, classes, volume.steps, tolerance)
    plain = {name: [None if np.isnan(one) else one for one in found[name]] for name in ("hd95", "surface_dice")}
    return found | plain | {"area_unit": unit_of(volume)}


def unit_of(volume: Volume) -> str:
    """Return what the sizes of a volume's classes are measured in."""
    return UNITS[volume.flat, volume.steps is not None]


def cases_of(rows: Sequence[dict[str, Any]], classes: int) -> Cases:
    """Return the cases of rows that hold what `compared` says."""
    counts = np.array([row["counts"] for row in rows], np.int64).reshape(len(rows), classes, classes)
    hd95, surface_dice = (
        np.array([row[name] for row in rows], np.float64).reshape(len(rows), classes)
        for name in ("hd95", "surface_dice")
    )
    diagonals = np.array([row["diagonal"] for row in rows], np.float64)
    spaced = np.array([row["area_unit"].startswith("mm") for row in rows], bool)
    return Cases(counts, hd95, surface_dice, diagonals, spaced)
