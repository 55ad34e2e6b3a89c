"""What segments without a network: a threshold, and a forest that looks at the surroundings of each pixel."""

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from sklearn.ensemble import RandomForestClassifier

from horngate.pipelines.medical.scans.volumes import Volume
from horngate.pipelines.medical.segment.cases import cases_of, compared
from horngate.pipelines.medical.segment.patches import PatchRows
from horngate.pipelines.medical.segment.reader import MaskReader
from horngate.pipelines.metrics.segmentation import Cases
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import LearningData
from horngate.pipelines.tasks.task import Task

WIDTHS = (1.0, 2.0, 4.0)  # pixels, of the Gaussians that a pixel's surroundings are looked at through
PATCHES = 48  # that the forest looks at
FITTED = 40_000  # pixels that the forest is fitted on
TREES, DEPTH = 40, 14
AT_ONCE = 1 << 18  # pixels answered together
LEVELS = 256


def local_features(pixels: np.ndarray) -> np.ndarray:
    """Return what the surroundings of each pixel look like, float32 `[h, w, 16]`, from pixels `[h, w, c]`.

    Of the brightness: itself and far around it, and through Gaussians of 1, 2 and 4 pixels its mean, gradient, and the two
    curvatures (eigenvalues of the Hessian).
    """
    grey = np.asarray(pixels, np.float32).mean(-1)
    found = [
        grey,
        gaussian_filter(grey, 8.0),
        grey - gaussian_filter(grey, 16.0),
        np.abs(grey - gaussian_filter(grey, 3.0)),
    ]
    for width in WIDTHS:
        bends = [gaussian_filter(grey, width, order) for order in ((2, 0), (0, 2), (1, 1))]
        middle, spread = (bends[0] + bends[1]) / 2, np.hypot((bends[0] - bends[1]) / 2, bends[2])
        found += [
            gaussian_filter(grey, width),
            gaussian_gradient_magnitude(grey, width),
            middle + spread,
            middle - spread,
        ]
    return np.stack(found, -1).astype(np.float32)


class Forest:
    """A random forest on local features (Breiman 2001), as interactive segmentation tools fit it.

    Args:
        rows: what it learns from.
        classes: how many.
        seed: of its draws.
    """

    def __init__(self, rows: PatchRows, classes: int, seed: int):
        draw = np.random.default_rng((seed, 2))
        inputs, targets, _ = rows.batch(np.arange(PATCHES), 0)
        features = np.concatenate([local_features(one).reshape(-1, 16) for one in inputs])
        flat = targets.ravel()
        known = np.flatnonzero(flat < classes)
        chosen = draw.choice(known, min(FITTED, len(known)), replace=False)
        model = RandomForestClassifier(TREES, max_depth=DEPTH, min_samples_leaf=5, random_state=seed)
        self.model: RandomForestClassifier = model.fit(features[chosen], flat[chosen])

    def answer(self, pixels: np.ndarray) -> np.ndarray:
        """Return class numbers, uint8 `[h, w]`, of pixels `[h, w, c]`."""
        features = local_features(pixels).reshape(-1, 16)
        parts = [self.model.predict(features[start : start + AT_ONCE]) for start in range(0, len(features), AT_ONCE)]
        return np.concatenate(parts).astype(np.uint8).reshape(pixels.shape[:2])


class Threshold:
    """Otsu's threshold of each picture (1979); which side of it is the background, the training rows say.

    Args:
        rows: what it learns from.
    """

    def __init__(self, rows: PatchRows):
        inputs, targets, _ = rows.batch(np.arange(PATCHES), 0)
        agreed = [((bright(one) == truth) & (truth < 2)).sum() for one, truth in zip(inputs, targets, strict=True)]
        self.bright = 2 * sum(agreed) >= (targets < 2).sum()

    def answer(self, pixels: np.ndarray) -> np.ndarray:
        """Return class numbers 0 and 1, uint8 `[h, w]`, of pixels `[h, w, c]`."""
        return (bright(pixels) == self.bright).astype(np.uint8)


def bright(pixels: np.ndarray) -> np.ndarray:
    """Return which pixels of `[h, w, c]` lie above Otsu's threshold of them, bool `[h, w]`."""
    levels = np.clip(np.asarray(pixels, np.float32).mean(-1), 0, LEVELS - 1).astype(np.int64)
    counts = np.bincount(levels.ravel(), minlength=LEVELS).astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(LEVELS))
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return levels > int(np.nan_to_num(between).argmax())


def outcomes_of(task: Task, data: LearningData) -> dict[str, dict[str, Cases]]:
    """Return the cases of masks that a forest and, of two classes, a threshold answer: name → split → cases."""
    classes = len(task.fitted.decisions)
    rows = PatchRows(task, data.rows("train"), PATCHES)
    baselines: dict[str, Any] = {"forest": Forest(rows, classes, task.card.seed)}
    if classes == 2:
        baselines["otsu_threshold"] = Threshold(rows)
    found: dict[str, dict[str, Cases]] = {name: {} for name in baselines}
    for split in data.held_out:
        own = data.rows(split).select(["input", "value", "mask"]).to_pylist()
        measured: dict[str, list] = {name: [] for name in baselines}
        for row in progress.tracked(own, f"references on {split}", len(own)):
            volume, truth = task.reader.opened(row)
            for name, answer in _answers(task.reader, volume, baselines).items():
                measured[name].append(compared(volume, truth, answer, classes, task.card.tolerance))
        for name, cases in measured.items():
            found[name][split] = cases_of(cases, classes)
    return found


def _answers(reader: MaskReader, volume: Volume, baselines: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the answer of each baseline, uint8 `[planes, h, w]`."""
    answers = {name: np.zeros(volume.shape, np.uint8) for name in baselines}
    for place, pixels in volume.greys():
        seen = reader.typed(pixels)
        for name, baseline in baselines.items():
            answers[name][place] = baseline.answer(seen)
    return answers
