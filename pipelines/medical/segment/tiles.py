"""Overlap-tile answers: a plane is cut into tiles, and of each tile's answer only its middle is kept.

So a pixel is always answered with `margin` pixels of its surroundings in view, and neither the plane nor the number of
planes decides how much memory the network needs (Ronneberger et al. 2015, arXiv 1505.04597, figure 2).
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import UserError


@dataclass
class _Plane:
    """A plane whose tiles are under way: the answer so far, uint8 `[h, w]`, how many tiles it waits for, their margin."""

    key: Hashable
    answer: np.ndarray
    waiting: int
    margin: int


@dataclass(frozen=True)
class Tiler:
    """Answers planes of any size with a network of one size.

    Attributes:
        side: of a tile, in pixels.
        margin: pixels at the border of a tile whose answers are thrown away.
        batch: tiles per forward pass.
        forward: from a batch of tiles `[batch, side, side, c]` to scores `[batch, side, side, classes]`.
    """

    side: int
    margin: int
    batch: int
    forward: Callable[[np.ndarray], np.ndarray]

    def answers(self, planes: Iterator[tuple[Hashable, np.ndarray]]) -> Iterator[tuple[Hashable, np.ndarray]]:
        """Yield the class numbers, uint8 `[h, w]`, of planes `[h, w, c]`, each with its key, in the same order.

        Tiles of several planes share a batch; every batch is filled up, so that no answer depends on how many there are.
        """
        waiting: list[tuple[_Plane, int, int, np.ndarray]] = []
        begun: list[_Plane] = []
        for key, pixels in planes:
            places = self.places(pixels.shape[:2])
            plane = _Plane(key, np.zeros(pixels.shape[:2], np.uint8), len(places), self.margin_of(pixels.shape[:2]))
            begun.append(plane)
            padded = self.padded(pixels)
            for top, left in places:
                tile = padded[top : top + self.side, left : left + self.side]
                waiting.append((plane, top, left, tile))
                if len(waiting) == self.batch:
                    self._answer(waiting)
                    waiting.clear()
            yield from _finished(begun)
        if waiting:
            self._answer(waiting)
        yield from _finished(begun)

    def margin_of(self, shape: tuple[int, ...]) -> int:
        """Return the margin of the tiles of a plane; none where one tile sees all of it."""
        return 0 if max(shape) <= self.side else self.margin

    def places(self, shape: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the (top, left) of each tile, in the padded plane; the last ones are moved back into it."""
        inner = self.side - 2 * self.margin_of(shape)
        ends = [max(length - inner, 0) for length in shape]
        return list(product(*(sorted({*range(0, end, inner), end}) for end in ends)))

    def padded(self, pixels: np.ndarray) -> np.ndarray:
        """Return a plane with its mirror image around it, wide enough for all tiles."""
        margin = self.margin_of(pixels.shape[:2])
        inner = self.side - 2 * margin
        wide = [(margin, margin + max(inner - length, 0)) for length in pixels.shape[:2]]
        return np.pad(pixels, [*wide, (0, 0)], "symmetric")

    def _answer(self, waiting: list[tuple[_Plane, int, int, np.ndarray]]) -> None:
        batch = np.zeros((self.batch, *waiting[0][3].shape), waiting[0][3].dtype)
        for place, (_, _, _, tile) in enumerate(waiting):
            batch[place] = tile
        for (plane, top, left, _), scores in zip(waiting, self.forward(batch), strict=False):
            inner = slice(plane.margin, self.side - plane.margin)
            numbers = scores[inner, inner].argmax(-1).astype(np.uint8)
            part = plane.answer[top : top + numbers.shape[0], left : left + numbers.shape[1]]
            part[...] = numbers[: part.shape[0], : part.shape[1]]
            plane.waiting -= 1


Pose = tuple[int, bool, bool]  # quarters that a tile is turned by, and whether rows and columns are reversed then


def poses(flip: str, turn: bool) -> list[Pose]:
    """Return all poses of a tile by a card's `flip` and `turn`, the plain one first, each once."""
    if turn:  # with rows reversed, it would be one of these again, turned by half
        return list(product(range(4), (False,), (False, True) if flip != "none" else (False,)))
    down, across = flip in ("vertical", "both"), flip in ("horizontal", "both")
    return list(product((0,), (False, True) if down else (False,), (False, True) if across else (False,)))


def poses_of(card: Any, averaging: bool) -> list[Pose]:
    """Return the poses of a tile that are answered: those that a card names where `averaging`, else the plain one.

    Raises:
        UserError: the card names none.
    """
    found = poses(card.flip, card.turn) if averaging else poses("none", turn=False)
    if averaging and len(found) == 1:
        raise UserError("--tta averages the poses that --flip and --turn name, and this card names none")
    return found


@dataclass(frozen=True)
class Averaged:
    """A network whose scores are the mean over poses of each tile, each turned back: test-time augmentation."""

    forward: Callable[[np.ndarray], np.ndarray]
    poses: list[Pose]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return scores `[batch, side, side, classes]` of tiles `[batch, side, side, c]`."""
        total = np.zeros((), np.float32)
        for quarter, down, across in self.poses:
            steps = (slice(None), slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1))
            seen = np.ascontiguousarray(np.rot90(batch, quarter, (1, 2))[steps])
            total = total + np.rot90(self.forward(seen)[steps], -quarter, (1, 2))
        return total / len(self.poses)


def _finished(begun: list[_Plane]) -> Iterator[tuple[Hashable, np.ndarray]]:
    while begun and not begun[0].waiting:
        plane = begun.pop(0)
        yield plane.key, plane.answer
