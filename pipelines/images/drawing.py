"""Pictures for reports."""

from io import BytesIO

import numpy as np
from PIL import Image

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
