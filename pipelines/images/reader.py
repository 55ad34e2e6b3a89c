"""The one reader of pictures: bytes in, uint8 pixels out, the same for training, evaluation and prediction."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from horngate.pipelines.images.statistics import statistics as picture_statistics
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # no format that runs a program to decode
MOST_PIXELS = 120_000_000
LEAST_SIDE = 8
SMALLEST, LARGEST = 32, 128  # pixels: the side that the small network gets, between these, from the pictures' own
ORIENTATION = 0x0112  # EXIF tag
THUMBNAIL = 32  # pixels, side of the grey picture that duplicates are confirmed on

Image.init()  # all formats are known from here on
Image.MAX_IMAGE_PIXELS = None  # `_opened` refuses by MOST_PIXELS before decoding


@dataclass(frozen=True)
class Facts:
    """What was seen of one picture: its sides in pixels as shown, what was converted, and a grey thumbnail."""

    width: int
    height: int
    converted: tuple[str, ...]
    thumbnail: np.ndarray  # uint8 [32, 32]


@dataclass(frozen=True)
class Reader:
    """Decodes a picture, turns it upright, and resizes it with antialiasing to a square of `size` pixels.

    Attributes:
        size: side of the square, in pixels.
        resize: `stretch` the whole picture, `crop` its central square, or `pad` it with black.
    """

    size: int
    resize: str = "stretch"

    def read(self, data: bytes, change: "Change | None" = None) -> np.ndarray:
        """Return the picture as uint8 `[size, size, 3]`, RGB; `change` draws a random view of it.

        Raises:
            Unreadable: no picture, truncated, or outside the limits of size.
        """
        image, _ = self._upright(data, room=1 if change is None else 2)
        return self._squared(image, change)

    def inspect(self, data: bytes, suffix: str = "") -> Facts:
        """Return what `check` wants to know of a picture; `suffix` is that of its file, if it has one.

        Raises:
            Unreadable: as `read`.
        """
        image, converted = self._upright(data, room=1)
        grey = (
            Image.fromarray(self._squared(image, None))
            .convert("L")
            .resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        )
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            (width, height), kind = opened.size, opened.format
        promised = Image.registered_extensions().get(suffix)
        if promised is not None and promised != kind and {promised, kind} != {"JPEG", "MPO"}:
            converted += ("a suffix that disagrees with the content",)
        return Facts(width, height, converted, np.asarray(grey))

    def _upright(self, data: bytes, room: int) -> tuple[Image.Image, tuple[str, ...]]:
        return _turned(data, 2 * room * self.size)

    def _squared(self, image: Image.Image, change: "Change | None") -> np.ndarray:
        if self.resize == "pad" and image.width != image.height:
            side = max(image.size)
            image = ImageOps.pad(image, (side, side))
        box = (0.0, 0.0, float(image.width), float(image.height))
        if self.resize == "crop":
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
        if change is not None:
            box = change.box(box)
        square = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
        pixels = np.asarray(square)
        return pixels if change is None else change.recoloured(pixels)


class Change:
    """A random view of one picture, drawn from a seed sequence: the same numbers give the same view.

    Args:
        strength: `none`, `light` or `strong`: how far crops and colours may go.
        flip: `none`, `horizontal`, `vertical` or `both`.
        seed: numbers that name the draw, such as (seed, epoch, row).
    """

    # strength -> smallest share of the area that a crop keeps, widest change of brightness, contrast and saturation
    STRENGTHS = {"none": (1.0, 0.0), "light": (0.6, 0.1), "strong": (0.3, 0.4)}

    def __init__(self, strength: str, flip: str, seed: tuple[int, ...]):
        draw = np.random.default_rng(seed)
        self.area, self.colour = self.STRENGTHS[strength]
        self.draws = draw.random(8)
        self.mirror = flip in ("horizontal", "both") and self.draws[6] < 0.5
        self.upend = flip in ("vertical", "both") and self.draws[7] < 0.5

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return a box inside `box` with a random area, aspect (3:4 to 4:3) and place."""
        if self.area == 1.0:
            return box
        left, top, right, bottom = box
        area = (self.area + (1 - self.area) * self.draws[0]) * (right - left) * (bottom - top)
        ratio = (4 / 3) ** (2 * self.draws[1] - 1) * (right - left) / (bottom - top)
        width, height = min(right - left, (area * ratio) ** 0.5), min(bottom - top, (area / ratio) ** 0.5)
        x = left + self.draws[2] * (right - left - width)
        y = top + self.draws[3] * (bottom - top - height)
        return x, y, min(x + width, right), min(y + height, bottom)

    def recoloured(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels in 0…255 of the same shape and dtype with brightness and contrast changed, and mirrored."""
        if self.colour:
            brightness, contrast = 1 + self.colour * (2 * self.draws[4:6] - 1)
            whole = pixels.dtype == np.uint8
            levels = ((np.arange(256) if whole else pixels) * brightness - 128) * contrast + 128
            levels = np.clip(levels, 0, 255).astype(pixels.dtype)
            pixels = levels[pixels] if whole else levels
        if self.mirror:
            pixels = pixels[:, ::-1]
        return pixels[::-1] if self.upend else pixels


def small_size(sides: list[int]) -> int:
    """Return the side that the small network gets, from the shorter sides of the training pictures in pixels."""
    return int(np.clip(np.median(sides), SMALLEST, LARGEST))


def upright(data: bytes, longest: int) -> np.ndarray:
    """Return a picture as uint8 `[h, w, 3]`, RGB, in its own shape, made smaller where a side is longer than `longest`.

    Raises:
        Unreadable: as of `Reader.read`.
    """
    image, _ = _turned(data, longest)
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _turned(data: bytes, enough: int) -> tuple[Image.Image, tuple[str, ...]]:
    """Return a picture upright in RGB, and what was converted; a side of `enough` pixels is all that is asked for."""
    image = _opened(data)
    try:
        converted = _conversions(image)
        image.draft("RGB", (enough, enough))
        image.load()
        if image.getexif().get(ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)  # copies, even where there is nothing to turn
        return _rgb(image), converted
    except Unreadable:
        raise
    except Exception as problem:  # decoders raise whatever their libraries do
        raise Unreadable(f"damaged or truncated picture ({' '.join(str(problem).split())[:100]})") from None


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:  # decoders raise whatever their libraries do
        raise Unreadable(f"no picture: it begins with {data[:12]!r}") from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Unreadable(f"too many pixels: {width} × {height}; at most {MOST_PIXELS:,} are decoded")
    if min(width, height) < LEAST_SIDE:
        raise Unreadable(f"too small: {width} × {height}; each side should have at least {LEAST_SIDE} pixels")
    if image.mode == "F":
        raise Unreadable("its pixels are floating-point numbers without a known range")
    return image


def _conversions(image: Image.Image) -> tuple[str, ...]:
    """Return the names of what `_rgb` and the reader will convert."""
    names = []
    if image.mode.startswith("I"):
        names.append("16 bit")
    elif image.mode in ("1", "L", "LA", "La"):
        names.append("grey")
    elif image.mode in ("P", "PA"):
        names.append("palette")
    elif image.mode not in ("RGB", "RGBA", "RGBX", "RGBa"):
        names.append(image.mode)
    if image.has_transparency_data:
        names.append("alpha")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        names.append("animation or pages: first one")
    if image.getexif().get(ORIENTATION, 1) != 1:
        names.append("EXIF rotation")
    return tuple(names)


def _rgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB: 16 bits become 8 by a fixed factor, transparency is laid on white."""
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


class PictureReader(TensorReader):
    """Reads pictures of any kind as squares of uint8 `[size, size, 3]`."""

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        small = small_size([min(fact.width, fact.height) for fact in facts])
        return Fitted({"kind": "picture", "resize": self.card.resize, "small_size": small})

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        reader = Reader(self.schema["size"], self.schema["resize"])
        return reader.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        return picture_statistics(data, tensor)
