"""Whether text is likely burned into the pixels: rows of small bright signs of about one height near an edge."""

import numpy as np
from scipy.ndimage import find_objects, label

BRIGHT = 0.94  # of the brightest level, from which on a pixel may belong to a sign
EDGE = 0.2  # of the height: where annotations stand, at the top and at the bottom
LEAST_SIDE = 96  # pixels; in smaller pictures nobody could read a sign
SIGN = (5, 40)  # pixels, heights of signs
SIGNS = 5  # in one row
FILLED = 0.3  # of the band at most: bright bands are no text


def likely_text(levels: np.ndarray) -> bool:
    """Return whether greys or colours `[h, w, c]` in 0…255 look as if text was burned in; it may be wrong both ways."""
    if min(levels.shape[:2]) < LEAST_SIDE:
        return False
    grey = levels.max(axis=2)
    bright = grey >= BRIGHT * max(float(grey.max()), 1.0)
    band = max(int(EDGE * len(bright)), 1)
    for part in (bright[:band], bright[-band:]):
        if not part.any() or part.mean() > FILLED:
            continue
        places = find_objects(label(part, np.ones((3, 3), int))[0])
        boxes = np.array([(down.start, down.stop, across.stop - across.start) for down, across in places])
        heights = boxes[:, 1] - boxes[:, 0]
        fit = (heights >= SIGN[0]) & (heights <= SIGN[1]) & (boxes[:, 2] <= 2 * heights)
        if _in_a_row(boxes[fit, :2]):
            return True
    return False


def _in_a_row(spans: np.ndarray) -> bool:
    """Whether several spans (top, bottom) agree within two pixels on both ends."""
    return any((np.abs(spans - one).max(1) <= 2).sum() >= SIGNS for one in spans)
