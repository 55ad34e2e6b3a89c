"""What a segmenter learns from: patches of pictures and their masks, cut at random places, turned and bent together."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import in_order
from horngate.pipelines.medical.segment.class_maps import UNLABELLED
from horngate.pipelines.medical.segment.views import View
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.rows import read_again

IN_MEMORY = 1 << 30  # bytes of pictures and masks; beyond, they lie in a temporary file
ON_CLASS = 0.5  # share of patches that are cut around a pixel of a class that is drawn, so that rare ones are seen
KNOWN = 4_000  # pixels of each class of a case that patches can be cut around


@dataclass(frozen=True)
class Case:
    """One picture or volume with its truth.

    Attributes:
        pixels: `[planes, h, w, c]`, uint8 or float32.
        truth: class numbers, uint8 `[planes, h, w]`.
        seeds: for each class that stands in it (but the background) some of its pixels, int32 `[k, 3]`.
    """

    pixels: np.ndarray
    truth: np.ndarray
    seeds: tuple[np.ndarray, ...]


class PatchRows:
    """Patches to learn from, or to watch the learning by; what a patch shows depends on (seed, epoch, its number) alone.

    Args:
        task: says how a row is read.
        table: rows with masks, all of which could be read before.
        count: patches of an epoch.

    Attributes:
        count: how many patches an epoch has.
    """

    def __init__(self, task: Task, table: pa.Table, count: int | None):
        self.card, self.reader, self.side = task.card, task.reader, task.fitted.schema["size"]
        self.folder: tempfile.TemporaryDirectory | None = None
        self.kept, self.cases = 0, []
        rows = table.select(["input", "value", "mask", "id"]).to_pylist()
        found = in_order(lambda row: read_again(lambda: self.reader.pixels(row), row["id"]), rows, ahead=8)
        for pair in progress.tracked(found, "reading pictures and masks", len(rows)):
            self.cases.append(self._case(*pair))
        self.count = 0 if not self.cases else count or self.covering()

    def covering(self) -> int:
        """Return how many patches it takes to see every place about once, between 32 and 2,000."""
        places = sum(case.truth.size for case in self.cases) / self.side**2
        return int(np.clip(np.ceil(places), 32, 2000))

    def _case(self, pixels: np.ndarray, truth: np.ndarray) -> Case:
        draw = np.random.default_rng((self.card.seed, len(self.cases)))
        seeds = []
        for number in range(1, len(self.reader.classes)):
            found = np.flatnonzero(truth.ravel() == number)
            if len(found):
                found = found if len(found) <= KNOWN else draw.choice(found, KNOWN, replace=False)
                seeds.append(np.stack(np.unravel_index(found, truth.shape), 1).astype(np.int32))
        return Case(self._stored(pixels), self._stored(truth), tuple(seeds))

    def _stored(self, values: np.ndarray) -> np.ndarray:
        """Return values as they are, or mapped from a temporary file where memory is short."""
        self.kept += values.nbytes
        if self.kept <= IN_MEMORY:
            return values
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="horngate-", ignore_cleanup_errors=True)
        path = Path(self.folder.name) / f"{self.kept}.npy"
        np.save(path, values, allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return pixels `[n, s, s, c]`, class numbers uint8 `[n, s, s]`, and no weights."""
        pairs = [self._patch(int(row), epoch) for row in rows]
        return np.stack([pixels for pixels, _ in pairs]), np.stack([truth for _, truth in pairs]), None

    def _patch(self, row: int, epoch: int | None) -> tuple[np.ndarray, np.ndarray]:
        case = self.cases[row % len(self.cases)]
        draw = np.random.default_rng((self.card.seed, 0 if epoch is None else epoch + 1, row))
        plane, *middle = self._middle(case, draw, epoch is not None)
        view = View.drawn(self.card, draw) if epoch is not None else View()
        pixels, truth = view.cut(case.pixels[plane], case.truth[plane], tuple(middle), self.side)
        return self.reader.typed(pixels), truth

    def _middle(self, case: Case, draw: np.random.Generator, learning: bool) -> tuple[int, int, int]:
        """Return the place that a patch is cut around: any, or one of a class."""
        if learning and case.seeds and draw.random() < ON_CLASS:
            places = case.seeds[draw.integers(len(case.seeds))]
            plane, *middle = places[draw.integers(len(places))].tolist()
            wander = draw.integers(-self.side // 3, self.side // 3 + 1, 2).tolist()
            middle = [place + step for place, step in zip(middle, wander, strict=True)]
        else:
            plane, *middle = (int(draw.integers(length)) for length in case.truth.shape)
        return plane, *(self._inside(place, length) for place, length in zip(middle, case.truth.shape[1:], strict=True))

    def _inside(self, place: int, length: int) -> int:
        """Return a place from which a patch doesn't reach beyond the picture, where it has room."""
        half = self.side // 2
        return length // 2 if length <= self.side else int(np.clip(place, half, length - self.side + half))


def shares(rows: PatchRows, classes: int) -> np.ndarray:
    """Return the share of each class in the labelled pixels, float64 `[classes]`."""
    counts = sum(np.bincount(case.truth.ravel(), minlength=UNLABELLED + 1)[:classes] for case in rows.cases)
    return counts / max(counts.sum(), 1)
