"""How to read a picture without horngate, for the examples in bundles."""

WAYS = {
    "stretch": "",
    "crop": """    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
""",
    "pad": """    side = max(image.size)
    image = ImageOps.pad(image, (side, side))
    box = (0, 0, side, side)
""",
}


def read_source(size: int, resize: str, grey: bool = False) -> str:
    """Return the source of `read(path)`: uint8 `[size, size, 3]` as horngate's own reader gives it for an RGB picture;

    of a grey one `[size, size, 1]`.
    """
    mode, lifted = ("L", "[..., None]") if grey else ("RGB", "")
    box = "" if resize == "stretch" else ", box=box"
    return f"""import numpy as np
from PIL import Image, ImageOps


def read(path):
    image = Image.open(path)
    image.draft("{mode}", ({2 * size}, {2 * size}))
    image = ImageOps.exif_transpose(image).convert("{mode}")
{WAYS[resize]}    return np.asarray(image.resize(({size}, {size}), Image.Resampling.BILINEAR{box})){lifted}
"""
