"""Random views of a picture and its mask: mirrored, turned, stretched, bent together; the picture recoloured and blurred."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from horngate.pipelines.medical.segment.class_maps import UNLABELLED

GRID = 5  # places along a side of the coarse grid whose random shifts bend a view
OFF_GRID = 0.5  # share of the views that are turned, stretched and bent: interpolation takes their finest grain away


@dataclass(frozen=True)
class Strength:
    """How far views may differ from the picture: degrees, shares, pixels of bending per 256 of the side, of greys, and

    pixels (standard deviation) of blur, which half of the views have.
    """

    turn: float = 0.0
    stretch: float = 0.0
    bend: float = 0.0
    contrast: float = 0.0
    blur: float = 0.0


STRENGTHS = {
    "none": Strength(),
    "light": Strength(turn=10.0, stretch=0.1, contrast=0.1),
    "elastic": Strength(turn=15.0, stretch=0.15, bend=6.0, contrast=0.2, blur=1.0),
}


@dataclass(frozen=True)
class View:
    """One view; the plain one is `View()`.

    Attributes:
        turn: radians.
        stretch: factor of the part that is seen.
        shifts: pixels per 256 of the side, float64 `[2, GRID, GRID]`, by which the grid's places are moved; or None.
        flips: whether rows and columns are reversed.
        quarter: turns by 90°.
        contrast, brightness: factor, and levels that are added.
        blur: standard deviation of a Gaussian in pixels; 0 for none.
    """

    turn: float = 0.0
    stretch: float = 1.0
    shifts: np.ndarray | None = None
    flips: tuple[bool, bool] = (False, False)
    quarter: int = 0
    contrast: float = 1.0
    brightness: float = 0.0
    blur: float = 0.0

    @classmethod
    def drawn(cls, card: Any, draw: np.random.Generator) -> "View":
        """Return a random view by a card's `augment`, `flip` and `turn`."""
        most = STRENGTHS[card.augment]
        turn, stretch, contrast, brightness = draw.uniform(-1, 1, 4)
        shifts = draw.normal(size=(2, GRID, GRID)) * most.bend if most.bend else None
        mirrored, upended, quarter = draw.random() < 0.5, draw.random() < 0.5, int(draw.integers(4))
        blur = max(draw.uniform(-1, 1), 0.0) * most.blur
        if draw.random() >= OFF_GRID:
            turn, stretch, shifts = 0.0, 0.0, None
        return cls(
            turn=np.deg2rad(most.turn) * turn,
            stretch=float(np.exp(most.stretch * stretch)),
            shifts=shifts,
            flips=(upended and card.flip in ("vertical", "both"), mirrored and card.flip in ("horizontal", "both")),
            quarter=quarter if card.turn else 0,
            contrast=1 + most.contrast * contrast,
            brightness=64 * most.contrast * brightness,
            blur=blur,
        )

    @property
    def plain(self) -> bool:
        """Whether pixels stay on their grid."""
        return self.turn == 0.0 and self.stretch == 1.0 and self.shifts is None

    def cut(
        self, pixels: np.ndarray, truth: np.ndarray, middle: tuple[int, int], side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a square of a picture `[h, w, c]`, in its dtype, and of its class numbers uint8 `[h, w]`, as it is seen.

        Beyond its border a picture is mirrored, and its mask unlabelled: what isn't there is not learnt.

        Args:
            middle: row and column of the middle of the square.
            side: of the square, in pixels.
        """
        seen = self._straight(pixels, truth, middle, side) if self.plain else self._bent(pixels, truth, middle, side)
        picture, mask = (np.rot90(part, self.quarter) for part in seen)
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return self._recoloured(picture[rows, columns]), np.ascontiguousarray(mask[rows, columns])

    def _straight(self, pixels, truth, middle: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
        first = [place - side // 2 for place in middle]
        before = [max(-start, 0) for start in first]
        after = [max(start + side - length, 0) for start, length in zip(first, truth.shape, strict=True)]
        part = tuple(slice(max(start, 0), start + side) for start in first)
        wide = list(zip(before, after, strict=True))
        picture = np.pad(pixels[part], [*wide, (0, 0)], "symmetric")
        return picture, np.pad(truth[part], wide, constant_values=UNLABELLED)

    def _bent(self, pixels, truth, middle: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
        places = self._places(side) + np.array(middle, np.float32)[:, None, None]
        low = np.maximum(np.floor(places.min((1, 2))).astype(int) - 1, 0)
        high = np.ceil(places.max((1, 2))).astype(int) + 2
        part = tuple(slice(int(first), int(last)) for first, last in zip(low, high, strict=True))
        places = places - low[:, None, None]
        picture = np.asarray(pixels[part], np.float32)
        seen = [map_coordinates(picture[..., c], places, order=1, mode="mirror") for c in range(picture.shape[2])]
        mask = map_coordinates(truth[part], places, order=0, mode="constant", cval=UNLABELLED)
        return np.stack(seen, -1), mask

    def _places(self, side: int) -> np.ndarray:
        """Return where each pixel of the square is looked up, float32 `[2, side, side]`, from its middle."""
        down, across = np.meshgrid(*2 * [np.arange(side, dtype=np.float32) - side // 2], indexing="ij")
        turn, scale = np.array([np.cos(self.turn), np.sin(self.turn)], np.float32), np.float32(self.stretch)
        places = scale * np.stack([turn[0] * down - turn[1] * across, turn[1] * down + turn[0] * across])
        if self.shifts is None:
            return places
        waves = [zoom(one, side / GRID, order=3, mode="nearest", grid_mode=True) for one in self.shifts]
        return places + np.stack(waves).astype(np.float32) * np.float32(side / 256)

    def _recoloured(self, picture: np.ndarray) -> np.ndarray:
        if self.contrast == 1.0 and self.brightness == 0.0 and self.blur == 0.0:
            return np.ascontiguousarray(picture)
        values = picture.astype(np.float32)
        if self.blur:
            values = gaussian_filter(values, (self.blur, self.blur, 0), mode="mirror")
        return np.clip((values - 128) * self.contrast + 128 + self.brightness, 0, 255)
