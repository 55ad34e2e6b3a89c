"""Reading masks: which pixels of a picture are defects."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from horngate.pipelines.images.reader import FORMATS, MOST_PIXELS
from horngate.pipelines.spec.errors import Unreadable

BRIGHT = 128  # from which level on a pixel of an 8-bit mask is a defect
APART = 0.02  # by which the shape of a mask may differ from its picture's


def read_mask(place: str) -> np.ndarray:
    """Return the defects of a mask, bool `[h, w]`: where it is not 0, if it holds 0 and 1, else from half brightness on.

    Args:
        place: the path of a picture file, or a data URI in base64.

    Raises:
        Unreadable: no such file, no picture, or values that don't say which pixels are defects.
    """
    try:
        data = b64decode(place.split(",", 1)[1]) if place.startswith("data:") else Path(place).read_bytes()
        image = Image.open(BytesIO(data), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise Unreadable(f"too many pixels: {image.width} × {image.height}")
        values = np.asarray(image if image.mode in ("1", "L", "P", "I", "I;16") else image.convert("L"))
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("missing") from None
    except Exception as problem:  # decoders raise whatever their libraries do
        raise Unreadable(f"no readable picture ({' '.join(str(problem).split())[:80]})") from None
    brightest = int(values.max())
    if brightest <= 1:
        return values.astype(bool)
    if brightest < BRIGHT:
        raise Unreadable(f"its brightest pixel is {brightest}; a mask should hold 0 and 1, or 0 and 255")
    return values >= (BRIGHT if brightest <= 255 else brightest / 2)


def fitting(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the mask, if it has the shape of a picture of that width and height.

    Raises:
        Unreadable: it has another shape, so that nobody knows which pixel is which.
    """
    ratio = (mask.shape[1] * height) / (mask.shape[0] * width)
    if abs(ratio - 1) > APART:
        raise Unreadable(f"it is {mask.shape[1]} × {mask.shape[0]}, its picture {width} × {height}")
    return mask
