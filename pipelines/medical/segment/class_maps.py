"""Masks as maps of classes: which value of a mask file is which class, and what is wrong with a mask."""

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from horngate.pipelines.images.reader import FORMATS, MOST_PIXELS
from horngate.pipelines.medical.scans.reading import scan_of
from horngate.pipelines.medical.scans.volumes import Volume
from horngate.pipelines.spec.errors import Unreadable, UserError

UNLABELLED = 255  # in maps of class numbers: a pixel whose value is no class
MOST = 64  # classes
APART = 1e-3  # mm per pixel, by which the spacing of a mask may differ from its picture's
ASTRAY = 0.5  # pixels, by which a mask may lie beside its picture
INDEXED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class Mask:
    """A mask file's values, whole numbers `[planes, h, w]`, where they lie (an affine as a scan has it, or None), and the

    kind of the file, as of a scan.
    """

    values: np.ndarray
    affine: np.ndarray | None = None
    kind: str = "picture"


def read_mask(place: str) -> Mask:
    """Return the mask in a file, or in a data URI in base64: a picture, NIfTI, DICOM or `.npy`.

    Raises:
        Unreadable: missing, damaged, in colours, or with values that are no whole numbers.
    """
    data = _bytes(place)
    picture = _indexed(data)
    if picture is not None:
        return Mask(picture[None])
    try:
        scan = scan_of(data)
    except Unreadable as reason:
        raise Unreadable(f"its mask can't be read: {reason}") from None
    if scan.colour:
        raise Unreadable("its mask is in colours; a mask should hold one number per class")
    values = scan.pixels[..., 0]
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.array_equal(whole, values) or np.abs(whole).max(initial=0) > np.iinfo(np.int32).max:
            raise Unreadable("its mask holds values that are no whole numbers")
        values = whole.astype(np.int32)
    return Mask(values, scan.affine, scan.kind)


def _bytes(place: str) -> bytes:
    try:
        data = b64decode(place.split(",", 1)[1]) if place.startswith("data:") else Path(place).read_bytes()
    except FileNotFoundError:
        raise Unreadable("its mask is missing") from None
    except (OSError, ValueError):
        raise Unreadable("its mask can't be read") from None
    if not data:
        raise Unreadable("its mask is empty: 0 bytes")
    return data


def _indexed(data: bytes) -> np.ndarray | None:
    """Return the stored values of a picture, a palette's indices among them; None for what is no such picture."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:  # decoders raise whatever their libraries do
        return None
    if image.mode not in INDEXED or image.width * image.height > MOST_PIXELS:
        return None
    try:
        return np.asarray(image).astype(np.uint8 if image.mode in ("1", "L", "P") else np.int32)
    except Exception:  # as above
        raise Unreadable("its mask is a damaged or truncated picture") from None


def fitting(mask: Mask, volume: Volume) -> np.ndarray:
    """Return a mask's values `[planes, h, w]`, if it lies on a volume pixel by pixel.

    Raises:
        Unreadable: another size, spacing, orientation or place, or a place that only one of both has.
    """
    if mask.values.shape != volume.shape:
        sizes = (" × ".join(str(side) for side in _sides(shape)) for shape in (mask.values.shape, volume.shape))
        raise Unreadable("its mask is {}, the picture {}".format(*sizes))
    if (mask.affine is None) != (volume.affine is None) and "nifti" in (mask.kind, volume.first.kind):
        raise Unreadable("only one of mask and picture says how it lies, so nobody knows whether they fit")
    if mask.affine is None or volume.affine is None:
        return mask.values
    own, its = (np.sqrt((affine[:3, :3] ** 2).sum(0)) for affine in (volume.affine, mask.affine))
    if np.abs(own - its).max() > APART:
        raise Unreadable(f"its mask has a spacing of {_millimetres(its)} mm, the picture of {_millimetres(own)} mm")
    corners = np.array([[0, 0, 0, 1], [*(side - 1 for side in volume.shape[::-1]), 1]], float).T
    if np.abs((mask.affine - volume.affine) @ corners)[:3].max() > ASTRAY * own.max():
        raise Unreadable("its mask lies elsewhere than the picture, by their headers")
    return mask.values


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    planes, height, width = shape
    return (width, height) if planes == 1 else (width, height, planes)


def _millimetres(steps: np.ndarray) -> str:
    return " × ".join(f"{step:.4g}" for step in steps)


def counted(values: np.ndarray) -> dict[int, int]:
    """Return how many pixels of a mask have each value."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


@dataclass(frozen=True)
class Classes:
    """The classes of masks: the values that stand for them in files, and their names; the first one is the background."""

    values: tuple[int, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def named(
        cls, wishes: tuple[str, ...] | None, background: str | None, counts: Iterable[dict[int, int]]
    ) -> "Classes":
        """Return the classes that a user names, or all values that masks hold; the background comes first.

        Args:
            wishes: VALUE=NAME, or VALUE alone, of each class.
            background: name or value of the background; default: the class that most pixels of the masks have.
            counts: of each mask, as `counted` gives them.

        Raises:
            UserError: fewer than two classes, too many values to be classes, or a wish that can't be read.
        """
        total: Counter = Counter()
        for one in counts:
            total.update(one)
        names = _named(wishes) if wishes else {value: str(value) for value in sorted(total)}
        if len(names) < 2:
            seen = ", ".join(f"{value}" for value in names) or "nothing"
            raise UserError(f"masks should hold two classes or more. Found: {seen}")
        if len(names) > MOST:
            raise UserError(
                f"masks hold {len(names)} different values, so they are no maps of classes (saved as JPEG, or resized "
                "smoothly?); name the values that are classes with --classes, such as --classes 0=background"
            )
        order = sorted(names, key=lambda value: (-total[value], value))
        first = order[0] if background is None else _background(background, names)
        values = (first, *(value for value in names if value != first))
        return cls(values, tuple(names[value] for value in values))

    @classmethod
    def of(cls, plain: list[dict[str, Any]]) -> "Classes":
        """Return the classes as `plain` gave them."""
        return cls(tuple(int(one["value"]) for one in plain), tuple(str(one["name"]) for one in plain))

    def plain(self) -> list[dict[str, Any]]:
        """Return the classes as JSON has them."""
        return [{"value": value, "name": name} for value, name in zip(self.values, self.names, strict=True)]

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers of the classes, uint8 of the shape of a mask's values, `UNLABELLED` for other values."""
        if values.dtype == np.uint8:
            table = np.full(256, UNLABELLED, np.uint8)
            for number, value in enumerate(self.values):
                if 0 <= value < 256:
                    table[value] = number
            return table[values]
        found = np.full(values.shape, UNLABELLED, np.uint8)
        for number, value in enumerate(self.values):
            found[values == value] = number
        return found

    def filed(self, numbers: np.ndarray) -> np.ndarray:
        """Return a mask's values, uint8 or int16, for numbers of classes."""
        small = min(self.values) >= 0 and max(self.values) < 256
        return np.array(self.values, np.uint8 if small else np.int16)[numbers]

    def strays(self, counts: dict[int, int]) -> dict[int, int]:
        """Return the values of a mask that are no class, and how many pixels have each."""
        return {value: count for value, count in counts.items() if value not in self.values}


def _named(wishes: tuple[str, ...]) -> dict[int, str]:
    found: dict[int, str] = {}
    for wish in (part for text in wishes for part in text.split(",")):
        value, _, name = wish.strip().partition("=")
        try:
            number = int(value)
        except ValueError:
            raise UserError(f"--classes should be VALUE=NAME, such as 1=liver. Received: {wish}") from None
        if number in found or (name and name in found.values()):
            raise UserError(f"--classes names {wish} twice")
        if not -(2**15) <= number < 2**15:
            raise UserError(f"--classes: a value should be between -32768 and 32767. Received: {number}")
        found[number] = name.strip() or str(number)
    return found


def _background(wish: str, names: dict[int, str]) -> int:
    for value, name in names.items():
        if wish in (name, str(value)):
            return value
    raise UserError(f"--background should be one of the classes: {', '.join(names.values())}. Received: {wish}")
