"""The first look at a picture or volume and its mask, plane by plane."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from horngate.pipelines.images.reader import THUMBNAIL
from horngate.pipelines.medical.scans.facts import Seen, header_of, refuse_small
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.medical.scans.volumes import Volume, volume_of
from horngate.pipelines.medical.segment.class_maps import counted, fitting, read_mask
from horngate.pipelines.spec.errors import Unreadable


@dataclass(frozen=True, kw_only=True)
class Facts(Seen):
    """What was seen of one case.

    Attributes:
        shape: planes, rows and columns.
        counts: how many pixels of its mask have each value.
    """

    shape: tuple[int, int, int]
    counts: dict[int, int]


def facts_of(data: bytes, mask: str | None, window: str) -> Facts:
    """Return the facts of a case from its bytes and the place of its mask; all of its planes are read once.

    Raises:
        Unreadable: the picture, or its mask, can't be used, with the reason.
    """
    volume = sized(volume_of(None, data)).shown_by(window_named(window))
    if mask is None:
        raise Unreadable("no mask")
    counts = counted(fitting(read_mask(mask), volume))
    middle, deep, converted = np.zeros((1, 1, 1)), False, set(volume.first.converted)
    for number, (place, pixels) in enumerate(volume.greys()):
        deep |= pixels.dtype != np.uint8
        if number == 0 or place == volume.shape[0] // 2:
            middle = pixels
    return Facts(
        shape=volume.shape,
        counts=counts,
        converted=tuple(sorted(converted)),
        thumbnail=thumbnail_of(middle),
        deep=bool(deep) and not volume.first.colour,
        **header_of(volume.first, middle if volume.flat else None)
        | {"spacing": None if None in volume.spacing[1:] else volume.spacing[1:]},
    )


def sized(volume: Volume) -> Volume:
    """Return a volume whose planes are large enough to look at.

    Raises:
        Unreadable: they aren't.
    """
    _, height, width = volume.shape
    refuse_small(width, height)
    return volume


def thumbnail_of(pixels: np.ndarray) -> np.ndarray:
    """Return pixels `[h, w, c]` in 0…255 as a grey thumbnail, uint8 `[32, 32]`."""
    grey = np.clip(np.rint(np.asarray(pixels, np.float32).mean(-1)), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
