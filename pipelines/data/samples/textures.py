"""A sample of made-up surfaces: woven textures, some of them with a defect and its mask."""

from base64 import b64encode

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.images.heat_maps import png

SIDE = 64  # pixels
USUAL, STRANGE = 90, 24  # pictures
LEARNT = 65  # of the usual ones; the others and all defects are for the test


def table() -> pa.Table:
    """Return 90 normal woven surfaces of 64 × 64 pixels, 8 with holes, 8 with scratches and 8 with stains, all drawn

    from one seed; defects have masks, and stand in the test split with 25 of the normal ones.
    """
    draw = np.random.default_rng(0)
    kinds = ["good"] * USUAL + [name for name in DEFECTS for _ in range(STRANGE // len(DEFECTS))]
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "split": []}
    masks = []
    for number, kind in enumerate(kinds):
        surface = _woven(draw)
        mask = np.zeros((SIDE, SIDE), bool)
        if kind != "good":
            mask, surface = DEFECTS[kind](draw, surface)
        columns["id"].append(f"{kind}-{number:03d}")
        columns["value"].append(png(np.clip(surface, 0, 255).astype(np.uint8)))
        columns["target"].append(kind)
        columns["split"].append("train" if number < LEARNT else "test")
        uri = f"data:image/png;base64,{b64encode(png(mask.astype(np.uint8) * 255)).decode()}"
        masks.append(uri if kind != "good" else None)
    return block(columns, {"mask": masks})


def _woven(draw: np.random.Generator) -> np.ndarray:
    """Return float `[s, s]`: two crossing waves whose phase, width and light vary a little."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    width = 2 * np.pi / draw.uniform(7.5, 8.5)
    waves = np.sin(width * across + draw.uniform(0, 6)) * np.sin(width * down + draw.uniform(0, 6))
    light = 128 + draw.normal(0, 6) + draw.uniform(-0.2, 0.2) * (across - SIDE / 2)
    return light + 40 * waves + draw.normal(0, 6, (SIDE, SIDE))


def _disc(draw: np.random.Generator, low: float, high: float) -> np.ndarray:
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    middle, radius = draw.uniform(12, SIDE - 12, 2), draw.uniform(low, high)
    return (across - middle[0]) ** 2 + (down - middle[1]) ** 2 <= radius**2


def _hole(draw: np.random.Generator, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask = _disc(draw, 4, 7)
    return mask, np.where(mask, 15.0, surface)


def _scratch(draw: np.random.Generator, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    angle, offset = draw.uniform(0.4, 1.2), draw.uniform(-10, 10)
    away = np.abs(np.sin(angle) * (across - SIDE / 2) - np.cos(angle) * (down - SIDE / 2) - offset)
    mask = (away <= 1.5) & (np.abs(down - SIDE / 2) < 20)
    return mask, np.where(mask, 245.0, surface)


def _stain(draw: np.random.Generator, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask = _disc(draw, 7, 11)
    return mask, np.where(mask, surface.mean() + 0.15 * (surface - surface.mean()), surface)


DEFECTS = {"hole": _hole, "scratch": _scratch, "stain": _stain}
