"""Pictures for reports."""

import numpy as np
from PIL import Image


def beside(pixels: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Return a picture uint8 `[s, s, 3]` with, to its right, itself under a heat map `[h, w]` in 0…1 (blue to red)."""
    size = (pixels.shape[1], pixels.shape[0])
    smooth = np.asarray(Image.fromarray((heat * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)) / 255.0
    colour = np.stack([smooth, 1 - np.abs(2 * smooth - 1), 1 - smooth], axis=-1) * 255
    blend = pixels * 0.5 + colour * 0.5
    return Image.fromarray(np.concatenate([pixels, blend.astype(np.uint8)], axis=1))
