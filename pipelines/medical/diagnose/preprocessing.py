"""How a scan becomes what a network sees: one slice in grey or colour, a square, 8 bits or floating-point greys."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from horngate.pipelines.images.reader import THUMBNAIL, Change
from horngate.pipelines.medical.scans.facts import Seen, header_of, refuse_small
from horngate.pipelines.medical.scans.reading import scan_of
from horngate.pipelines.medical.scans.scan import Scan, greys, window_named
from horngate.pipelines.spec.errors import Unreadable


@dataclass(frozen=True, kw_only=True)
class Facts(Seen):
    """What was seen of one file; `width` and `height` are in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class ScanPreprocessing:
    """Reads files as one network sees them.

    Attributes:
        window: as `--window` names it.
        slice: of several slices the `middle` or the `first`; `only`: files of several are refused.
        resize: `stretch` the whole picture, `crop` its central square, or `pad` it with black.
        size: side of the square, in pixels.
        channels: 1 for greys, 3 for RGB.
        dtype: `uint8` or `float32`.
    """

    window: str = "file"
    slice: str = "only"
    resize: str = "stretch"
    size: int = 64
    channels: int = 1
    dtype: str = "uint8"

    def read(self, data: bytes, change: Change | None = None) -> np.ndarray:
        """Return `[size, size, channels]` in 0…255; `change` draws a random view.

        Raises:
            Unreadable: as of `scan_of`, several slices where one is asked for, or colours where the network sees greys.
        """
        scan = self._chosen(scan_of(data))
        if scan.colour and self.channels == 1:
            raise Unreadable("it has colours, and the training images had none")
        levels, _ = greys(scan, window_named(self.window))
        square = self._squared(levels[0], self.size, change)
        square = np.repeat(square, 3, axis=-1) if square.shape[-1] < self.channels else square
        square = square if change is None else change.recoloured(square)
        return np.ascontiguousarray(_typed(square, self.dtype))

    def inspect(self, data: bytes) -> Facts:
        """Return what `check` and `settle` want to know of a file.

        Raises:
            Unreadable: as `read`.
        """
        whole = scan_of(data)
        scan = self._chosen(whole)
        levels, said = greys(scan, window_named(self.window))
        small = _typed(self._squared(levels[0], THUMBNAIL, None), "uint8")
        grey = small[..., 0] if small.shape[-1] == 1 else np.asarray(Image.fromarray(small).convert("L"))
        plain = said == "as they are"
        converted = whole.converted + (() if plain else (f"greys {said}",))
        converted += (f"several slices: the {self.slice}",) * (whole.slices > 1)
        return Facts(
            width=scan.width,
            height=scan.height,
            converted=converted,
            thumbnail=np.ascontiguousarray(grey),
            deep=levels.dtype != np.uint8 and not scan.colour,
            **header_of(scan, levels[0]),
        )

    def _chosen(self, scan: Scan) -> Scan:
        refuse_small(scan.width, scan.height)
        if scan.slices == 1:
            return scan
        if self.slice == "only":
            raise Unreadable(f"{scan.slices} slices; say which one to look at with --slice middle or first")
        place = scan.slices // 2 if self.slice == "middle" else 0
        return scan.at(slice(place, place + 1))

    def _squared(self, levels: np.ndarray, size: int, change: Change | None) -> np.ndarray:
        """Return `[size, size, c]` of `[h, w, c]`, resized with antialiasing channel by channel."""
        height, width, channels = levels.shape
        if self.resize == "pad" and height != width:
            side, squared = max(height, width), np.zeros((max(height, width),) * 2 + (channels,), levels.dtype)
            top, left = (side - height) // 2, (side - width) // 2
            squared[top : top + height, left : left + width] = levels
            levels, height, width = squared, side, side
        box = (0.0, 0.0, float(width), float(height))
        if self.resize == "crop":
            side = min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        box = box if change is None else change.box(box)
        parts = (Image.fromarray(np.ascontiguousarray(levels[..., place])) for place in range(channels))
        sized = [np.asarray(part.resize((size, size), Image.Resampling.BILINEAR, box=box)) for part in parts]
        return np.stack(sized, axis=-1)


def _typed(levels: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "uint8" and levels.dtype != np.uint8:
        return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return levels.astype(dtype, copy=False)
