"""How often `compare` is wrong: 200 pairs of equal models, and how often it finds one that is better.

python benchmarks/compare_coverage.py
"""

import bench
import numpy as np

from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.statistics.paired import differences, sign_test

PAIRS, ROWS, DRAWS, CLASSES = 200, 400, 1000, 4
NAMES = ("accuracy", "macro_f1", "log_loss", "ece")


def pair_of(seed: int, known: tuple[float, float], size: int) -> tuple[list[Outcome], np.ndarray | None]:
    """Return what two models say of the same rows, which they know so well; rows of a group of `size` share noise."""
    draw = np.random.default_rng(seed)
    units = np.arange(ROWS) // size
    truth = draw.integers(0, CLASSES, ROWS)
    shared = draw.normal(size=(ROWS, CLASSES))[units]
    found = []
    for one in known:
        own = draw.normal(size=(ROWS, CLASSES))[units] + 0.5 * draw.normal(size=(ROWS, CLASSES))
        logits = one * np.eye(CLASSES)[truth] + 0.7 * shared + 0.7 * own
        scores = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
        found.append(Outcome(np.eye(CLASSES, dtype=np.float32)[truth], scores, scores.argmax(1)))
    return found, units if size > 1 else None


def shares(known: tuple[float, float], size: int) -> dict[str, dict[str, float]]:
    """Return by metric the share of pairs whose interval covers zero, and whose p-value is at least 0.05."""
    covered, unsure = {name: [] for name in NAMES}, {name: [] for name in NAMES}
    for seed in range(PAIRS):
        pair, groups = pair_of(seed, known, size)
        measures = [{name: MEASURES[name].prepare(one) for name in NAMES} for one in pair]
        raised = tuple(name for name in NAMES if MEASURES[name].raised)
        found = differences(*measures, ROWS, groups, DRAWS, raised=raised)
        right = [one.chosen == one.truth for one in pair]
        exact = sign_test(right[1].astype(int) - right[0], groups)
        for name, one in found.items():
            covered[name].append(one.low <= 0 <= one.high)
            unsure[name].append((exact if name == "accuracy" else one.p_value) >= 0.05)
    return {
        name: {"covers_zero": float(np.mean(covered[name])), "p_at_least_0.05": float(np.mean(unsure[name]))}
        for name in NAMES
    }


if __name__ == "__main__":
    sizes = f"{PAIRS} pairs, {ROWS} rows, {DRAWS} draws"
    bench.keep("compare_coverage", f"equal models, {sizes}", shares((1.5, 1.5), 1))
    bench.keep("compare_coverage", f"equal models in groups of 5, {sizes}", shares((1.5, 1.5), 5))
    bench.keep("compare_coverage", f"a better model, {sizes}", shares((1.5, 2.0), 1))
