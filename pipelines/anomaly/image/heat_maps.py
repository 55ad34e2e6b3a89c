"""Heat maps for people: on the page of an evaluation, and as the files of `predict --heatmaps`."""

import hashlib
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.images.heat_maps import enlarged, outlined, scaled, thumbnail, warmed
from horngate.pipelines.images.masks import fitting, read_mask
from horngate.pipelines.images.reader import upright
from horngate.pipelines.images.statistics import shape_of
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system.files import whole

LONGEST = 1600  # pixels, of a drawn heat map
SEEN = 320  # pixels, of pictures on a page
NAMED = 80  # signs of an id in a file's name


def looked_at(data: bytes, grid: np.ndarray, mask: str | None, schema: dict[str, Any]) -> Shown:
    """Return a picture, its heat map, and its mask if it has one that can be used."""
    pixels = upright(data, SEEN)
    heat = _overlay(pixels, grid, schema)
    try:
        defects = None if mask is None else fitting(read_mask(mask), pixels.shape[1], pixels.shape[0])
    except Unreadable:
        defects = None
    if defects is None:
        return Shown(thumbnail(pixels), thumbnail(heat))
    size = (pixels.shape[1], pixels.shape[0])
    small = np.asarray(Image.fromarray(defects.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) > 0
    drawn = np.repeat(small[..., None].astype(np.uint8) * 255, 3, axis=2)
    return Shown(thumbnail(pixels), thumbnail(outlined(heat, small)), mask=thumbnail(drawn))


def written(listed: pa.Table, grids: np.ndarray, schema: dict[str, Any], folder: str, float_maps: bool) -> list[str]:
    """Write a PNG of each picture under its heat map, and return their paths.

    Args:
        grids: maps float32 `[n, h, w]`.
        float_maps: whether to write the maps themselves too, as TIFF of one float32 per pixel of the picture.

    Raises:
        UserError: the folder can't be written to.
    """
    paths = []
    for name, data, grid in zip(listed["id"].to_pylist(), inputs_of(listed), grids, strict=True):
        path = Path(folder) / f"{file_name(name)}.png"
        _save(Image.fromarray(_overlay(upright(data, LONGEST), grid, schema)), path, "PNG")
        if float_maps:
            values = enlarged(grid, *shape_of(data), schema["resize"])
            _save(Image.fromarray(values), path.with_suffix(".tiff"), "TIFF")
        paths.append(str(path))
    return paths


def file_name(name: str) -> str:
    """Return a file name for an id: readable, short, and another one for every id."""
    last = "_".join(Path(name).with_suffix("").parts[-2:])  # the file and its folder
    stem = re.sub(r"[^\w.-]+", "_", last)[-NAMED:].strip("._")
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _overlay(pixels: np.ndarray, grid: np.ndarray, schema: dict[str, Any]) -> np.ndarray:
    heat = enlarged(grid, pixels.shape[1], pixels.shape[0], schema["resize"])
    return warmed(pixels, scaled(heat, *schema["heat"]))


def _save(image: Image.Image, path: Path, kind: str) -> None:
    out = BytesIO()
    image.save(out, kind)
    with whole(path) as temporary:
        temporary.write_bytes(out.getvalue())
