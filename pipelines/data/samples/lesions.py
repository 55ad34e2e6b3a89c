"""A sample of made-up scans: textured tissue of pretend patients, with lesions in some of it, and their masks."""

from base64 import b64encode

import numpy as np
import pyarrow as pa
from scipy.ndimage import gaussian_filter

from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.images.heat_maps import png

SIDE = 64  # pixels
PATIENTS, EACH = 80, 3  # pictures of each patient
ILL = 0.5  # share of the patients who may have lesions
SEEN = 0.8  # share of their pictures that show one
SITES = ("north", "south")


def table() -> pa.Table:
    """Return 240 grey pictures of 64 × 64 pixels of 80 made-up patients, three of each, all drawn from one seed.

    A patient's pictures share texture and brightness, so that a split that tears patients apart would flatter. Targets are
    `lesion` and `healthy`, groups the patients, `mask` the lesion's pixels (all 0 in healthy pictures), `site` and `sex`
    made up too; bright vessels are in all of them.
    """
    draw = np.random.default_rng(0)
    columns: dict[str, list] = {name: [] for name in ("id", "value", "target", "group")}
    further: dict[str, list] = {name: [] for name in ("mask", "site", "sex")}
    for patient in range(PATIENTS):
        own, ill = np.random.default_rng(int(draw.integers(2**31))), draw.random() < ILL
        grain, light, site, sex = own.uniform(1.5, 3), own.normal(95, 12), SITES[patient % 2], own.choice(["f", "m"])
        for number in range(EACH):
            mask = np.zeros((SIDE, SIDE), bool)
            tissue = light + 8 * _smooth(own, grain) + 6 * _smooth(own, 8) + 20 * _vessel(own)
            if ill and own.random() < SEEN:
                mask = _blob(own)
                tissue = tissue + own.uniform(35, 75) * _blurred(mask, 1.2)
            columns["id"].append(f"patient-{patient:02d}-{number}")
            columns["value"].append(png(np.clip(tissue + own.normal(0, 4, tissue.shape), 0, 255).astype(np.uint8)))
            columns["target"].append("lesion" if mask.any() else "healthy")
            columns["group"].append(f"patient-{patient:02d}")
            uri = b64encode(png(mask * np.uint8(255))).decode()
            for name, value in (("mask", f"data:image/png;base64,{uri}"), ("site", site), ("sex", str(sex))):
                further[name].append(value)
    return block(columns, further)


def _smooth(draw: np.random.Generator, width: float) -> np.ndarray:
    """Return noise of variance 1 whose grains are `width` pixels wide."""
    noise = _blurred(draw.normal(size=(SIDE, SIDE)), width)
    return (noise - noise.mean()) / noise.std()


def _blurred(values: np.ndarray, width: float) -> np.ndarray:
    return gaussian_filter(values.astype(np.float64), width, mode="wrap")


def _vessel(draw: np.random.Generator) -> np.ndarray:
    """Return a bent bright line, 1 in its middle."""
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    bent = draw.uniform(-0.5, 0.5) + draw.uniform(0.4, 1.2) * across + draw.uniform(-0.3, 0.3) * np.sin(6 * across)
    return np.exp(-(((down - bent) / 0.03) ** 2))


def _blob(draw: np.random.Generator) -> np.ndarray:
    """Return an irregular round region, bool: radius 6 to 12 pixels, its border in waves."""
    down, across = np.mgrid[:SIDE, :SIDE]
    x, y = draw.uniform(14, SIDE - 14, 2)
    angle, distance = np.arctan2(down - y, across - x), np.hypot(down - y, across - x)
    waves = sum(draw.normal(0, 0.1) * np.cos(turn * angle + draw.uniform(0, 6.3)) for turn in (2, 3, 5))
    return distance < draw.uniform(6, 12) * (1 + waves)
