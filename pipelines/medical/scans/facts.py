"""What the first look at a scan sees, whatever is asked of it, and whether text is likely burned into its pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, label

from horngate.pipelines.images.reader import LEAST_SIDE
from horngate.pipelines.medical.scans.scan import Scan
from horngate.pipelines.spec.errors import Unreadable

BRIGHT = 0.94  # of the brightest level, from which on a pixel may belong to a sign
EDGE = 0.2  # of the height: where annotations stand, at the top and at the bottom
LEGIBLE = 96  # pixels; in smaller pictures nobody could read a sign
SIGN = (5, 40)  # pixels, heights of signs
SIGNS = 5  # in one row
FILLED = 0.3  # of the band at most: bright bands are no text


def likely_text(levels: np.ndarray) -> bool:
    """Return whether greys or colours `[h, w, c]` in 0…255 look as if text was burned in; it may be wrong both ways."""
    if min(levels.shape[:2]) < LEGIBLE:
        return False
    grey = levels.max(axis=2)
    bright = grey >= BRIGHT * max(float(grey.max()), 1.0)
    band = max(int(EDGE * len(bright)), 1)
    for part in (bright[:band], bright[-band:]):
        if not part.any() or part.mean() > FILLED:
            continue
        places = find_objects(label(part, np.ones((3, 3), int))[0])
        boxes = np.array([(down.start, down.stop, across.stop - across.start) for down, across in places])
        heights = boxes[:, 1] - boxes[:, 0]
        fit = (heights >= SIGN[0]) & (heights <= SIGN[1]) & (boxes[:, 2] <= 2 * heights)
        if _in_a_row(boxes[fit, :2]):
            return True
    return False


def _in_a_row(spans: np.ndarray) -> bool:
    """Whether several spans (top, bottom) agree within two pixels on both ends."""
    return any((np.abs(spans - one).max(1) <= 2).sum() >= SIGNS for one in spans)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of one file.

    Attributes:
        converted: what is read as something else.
        thumbnail: uint8 [32, 32], grey.
        colour: whether it has colours.
        deep: whether its greys are more than 8 bits hold.
        modality, photometric: as its header says; empty where it doesn't.
        spacing: mm between rows and between columns, or None.
        personal: header fields that hold personal data.
        burned_in: whether text is burned in, by the header or by the looks of it.
    """

    converted: tuple[str, ...]
    thumbnail: np.ndarray
    colour: bool
    deep: bool
    modality: str
    photometric: str
    spacing: tuple[float, float] | None
    personal: tuple[str, ...]
    burned_in: bool


def header_of(scan: Scan, pixels: np.ndarray | None) -> dict[str, Any]:
    """Return those facts that the header says, and whether text is burned in, by the looks of pixels where it doesn't."""
    spacing = scan.spacing[1:]
    looks = scan.burned_in is None and pixels is not None and likely_text(pixels)
    return {
        "colour": scan.colour,
        "modality": scan.modality,
        "photometric": scan.photometric,
        "spacing": None if None in spacing else spacing,
        "personal": scan.personal,
        "burned_in": bool(scan.burned_in) or looks,
    }


def refuse_small(width: int, height: int) -> None:
    """Refuse what is too small to look at.

    Raises:
        Unreadable: it is.
    """
    if min(width, height) < LEAST_SIDE:
        raise Unreadable(f"too small: {width} × {height}; each side should have at least {LEAST_SIDE} pixels")
