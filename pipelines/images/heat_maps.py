"""Heat maps and pictures for people: from a grid of places to the pixels of a picture, and onto it."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

SMOOTH = 0.5  # of a place of the grid: standard deviation of the Gaussian that a map is smoothed by
OUTLINE = (255, 255, 255)


def enlarged(heat: np.ndarray, width: int, height: int, resize: str) -> np.ndarray:
    """Return a map float32 `[h, w]` of what the network saw as float32 `[height, width]`, one value per pixel.

    It is smoothed a little and enlarged bilinearly, as PatchCore and PaDiM do.

    Args:
        resize: how the picture became the square that the network saw: `stretch` or `pad`.
    """
    smooth = Image.fromarray(gaussian_filter(heat.astype(np.float32), SMOOTH, mode="nearest"))
    if resize == "stretch":
        return np.asarray(smooth.resize((width, height), Image.Resampling.BILINEAR))
    side = max(width, height)
    across, down = width / side * smooth.width, height / side * smooth.height
    left, top = (smooth.width - across) / 2, (smooth.height - down) / 2
    box = (left, top, left + across, top + down)
    return np.asarray(smooth.resize((width, height), Image.Resampling.BILINEAR, box=box))


def scaled(heat: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a map in 0…1 for drawing: 0 at `low`, 0.5 at `high`, 1 from as much above that on."""
    return np.clip((heat - low) / max(2 * (high - low), 1e-12), 0, 1)


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return uint8 `[h, w, 3]` with the border of a mask bool `[h, w]` drawn in white."""
    wide = Image.fromarray(mask.astype(np.uint8) * 255)
    border = np.asarray(wide.filter(ImageFilter.MaxFilter(3))) != np.asarray(wide.filter(ImageFilter.MinFilter(3)))
    drawn = pixels.copy()
    drawn[border] = OUTLINE
    return drawn


THUMBNAIL = 160  # pixels, longer side


def warmed(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a picture uint8 `[s, s, 3]` under a heat map `[h, w]` in 0…1 (blue to red), of the same shape."""
    size = (pixels.shape[1], pixels.shape[0])
    smooth = np.asarray(Image.fromarray((heat * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)) / 255.0
    colour = np.stack([smooth, 1 - np.abs(2 * smooth - 1), 1 - smooth], axis=-1) * 255
    return (pixels * 0.5 + colour * 0.5).astype(np.uint8)


def beside(pixels: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Return a picture uint8 `[s, s, 3]` with, to its right, itself under a heat map `[h, w]` in 0…1."""
    return Image.fromarray(np.concatenate([pixels, warmed(pixels, heat)], axis=1))


def thumbnail(pixels: np.ndarray) -> bytes:
    """Return a picture uint8 `[h, w, 3]` as a JPEG whose longer side has 160 pixels."""
    scale = THUMBNAIL / max(pixels.shape[:2])
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    out = BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=82)
    return out.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """Return a picture uint8 `[h, w]` or `[h, w, 3]` as a PNG."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
