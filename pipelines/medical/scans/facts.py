"""What the first look at a scan sees, whatever is asked of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.images.reader import LEAST_SIDE
from horngate.pipelines.medical.scans.burned_in import likely_text
from horngate.pipelines.medical.scans.scan import Scan
from horngate.pipelines.spec.errors import Unreadable


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
