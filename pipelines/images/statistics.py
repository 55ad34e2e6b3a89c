"""How a picture looks, in plain numbers that may drift."""

from io import BytesIO

import numpy as np
from PIL import Image

TURNED = (5, 6, 7, 8)  # EXIF orientations that swap the sides
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def statistics(data: bytes, pixels: np.ndarray) -> dict[str, float]:
    """Return statistics of one picture.

    Args:
        data: the encoded picture, for its own width, height (pixels, as shown) and aspect (width / height).
        pixels: uint8 `[h, w, 3]` as the network sees them, for the rest: brightness, contrast (its standard deviation),
            saturation, red and blue above brightness, all between 0 and 1, and sharpness (the mean absolute Laplacian).
    """
    width, height = shape_of(data)
    return {"width": float(width), "height": float(height), "aspect": width / height} | looks_of(pixels)


def looks_of(pixels: np.ndarray) -> dict[str, float]:
    """Return what `statistics` says of pixels uint8 `[h, w, 3]`."""
    colours = pixels.astype(np.float32) / 255
    grey = colours @ LUMA
    highest = colours.max(-1)
    saturation = (highest - colours.min(-1)) / np.maximum(highest, 1 / 255)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    found = {
        "brightness": grey.mean(),
        "contrast": grey.std(),
        "saturation": saturation.mean(),
        "sharpness": np.abs(laplacian).mean(),
    }
    found |= {"redness": (colours[..., 0] - grey).mean(), "blueness": (colours[..., 2] - grey).mean()}
    return {name: float(value) for name, value in found.items()}


def shape_of(data: bytes) -> tuple[int, int]:
    """Return width and height of an encoded picture in pixels, as it is shown."""
    with Image.open(BytesIO(data)) as opened:
        width, height = opened.size
        return (height, width) if opened.getexif().get(0x0112, 1) in TURNED else (width, height)
