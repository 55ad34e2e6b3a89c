"""Drift: whether new rows look like those that a run learnt from, in features, inputs and labels.

Every question is a two-sample test by permutation; where rows come in groups, whole groups change sides, so that rows that
belong together don't pass for independent ones. An alarm needs both a p-value below 5 % after Holm's correction over all
tests (Holm 1979) and an effect of a size that matters (`SIZES`): with many rows, the slightest difference is significant.
Testing learnt features beside single statistics follows Rabanser et al. 2019 (arXiv 1810.11953).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 999
LEVEL = 0.05
SIZES = {"features": 0.01, "inputs": 0.25, "labels": 0.1}  # least effects of an alarm: energy, gap, shares moved
LEAST_ROWS = 10  # on each side
STRANGE = 0.01  # share of rows with labels that were never learnt, for an alarm


@dataclass(frozen=True)
class Sample:
    """Rows of one side.

    Attributes:
        features: float32 `[n, d]` of the run's own encoder, or None.
        statistics: name → float64 `[n]`, NaN where a row has none.
        labels: the label names of each row, or None where the task has none.
        units: int64 `[n]`; rows of one number belong together.
    """

    features: np.ndarray | None
    statistics: dict[str, np.ndarray]
    labels: list[list[str]] | None
    units: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.units)


def drift(new: Sample, known: Sample, learnt: dict[str, float], seed: int) -> dict[str, Any] | None:
    """Return what differs between new rows and those of a training, as plain values; None with fewer than 10 rows a side.

    `features.distance` is the energy coefficient (0: same, 1: apart), an input's `effect` the widest gap between the two
    cumulative shares (Kolmogorov–Smirnov), `value` and `against` its medians; `labels_moved.distance` is the share of rows
    whose label would have to change (total variation). All `p_value` are corrected for the number of tests.

    Args:
        new, known: at most some hundred rows each; distances are held in memory.
        learnt: share of each label among all training rows.
        seed: of the permutations.
    """
    if min(new.rows, known.rows) < LEAST_ROWS:
        return None
    names = [name for name in known.statistics if _varies(name, new, known)]
    with_features = new.features is not None and known.features is not None
    tests = len(names) + 2
    sides = _sides(new.units, known.units, max(DRAWS, 40 * tests), seed)
    effects, values = {}, {}
    if with_features:
        scaled = _scaled(np.concatenate([new.features, known.features]), known.features)
        effects["features"], values["features"] = _judged(_energy(scaled, sides))
    for name in names:
        pooled = np.concatenate([new.statistics[name], known.statistics[name]])
        effects["inputs", name], values["inputs", name] = _judged(_gap(pooled, sides))
    if new.labels and known.labels:
        found, hot = _multi_hot([*new.labels, *known.labels])
        values["labels"] = _judged(_chi_squared(hot, sides))[1]
        effects["labels"] = _moved(hot[: new.rows], hot[new.rows :])
    corrected = _holm(values)
    labels = _shares(found, new, learnt) if "labels" in effects else []
    return _plain(new, known, effects, corrected, labels)


def _plain(new: Sample, known: Sample, effects: dict, corrected: dict, labels: list[dict]) -> dict[str, Any]:
    def alarming(key) -> bool:
        kind = key[0] if isinstance(key, tuple) else key
        return corrected[key] < LEVEL and effects[key] >= SIZES[kind]

    def told(key, name: str) -> dict[str, Any]:
        return {name: round(float(effects[key]), 6), "p_value": round(corrected[key], 6), "alarm": alarming(key)}

    sizes = {"rows": new.rows, "against": known.rows}
    inputs = [
        {"name": key[1]} | _medians(key[1], new, known) | told(key, "effect")
        for key in effects
        if isinstance(key, tuple)
    ]
    strange = [row for row in labels if row["against"] == 0]
    result = {
        "features": told("features", "distance") | sizes if "features" in effects else None,
        "inputs": inputs,
        "labels": labels,
        "labels_moved": told("labels", "distance") if "labels" in effects else None,
        "unlearnt_labels": [row["label"] for row in strange],
        "alarm": any(map(alarming, effects)) or sum(row["share"] for row in strange) >= STRANGE,
        **sizes,
    }
    return result | {"said": _said(result)}


def _said(result: dict[str, Any]) -> str:
    """Return the one sentence that people read first."""
    parts = []
    if result["features"] and result["features"]["alarm"]:
        parts.append(f"features at distance {result['features']['distance']:.3f}")
    alarming = sorted((row for row in result["inputs"] if row["alarm"]), key=lambda row: -row["effect"])
    parts += [f"{row['name']} {row['value']:.3g} against {row['against']:.3g}" for row in alarming[:3]]
    if result["labels_moved"] and result["labels_moved"]["alarm"]:
        parts.append(f"label shares moved by {result['labels_moved']['distance']:.0%}")
    if result["unlearnt_labels"]:
        parts.append(f"labels never learnt: {', '.join(result['unlearnt_labels'][:3])}")
    of = f"{result['rows']:,} rows against {result['against']:,} of the training"
    if not result["alarm"]:
        return f"no drift seen in {of}{'; ' + '; '.join(parts) if parts else ''}"
    return f"drift in {of}: {'; '.join(parts)}"


def _sides(new: np.ndarray, known: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return float64 `[draws + 1, n]`, 1 for a row that counts as new; the first line is how it is."""
    _, first = np.unique(new, return_inverse=True)
    _, second = np.unique(known, return_inverse=True)
    count = first.max() + 1
    units = np.concatenate([first, second + count])
    truth = (np.arange(units.max() + 1) < count).astype(np.float64)
    drawn = np.random.default_rng(seed).permuted(np.tile(truth, (draws, 1)), axis=1)
    return np.concatenate([truth[None], drawn])[:, units]


def _judged(found: np.ndarray) -> tuple[float, float]:
    """Return the first value, and the share of all that are as large: the p-value of a permutation test."""
    return float(found[0]), float(np.mean(found >= found[0] - 1e-12))


def _energy(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the energy coefficient of each line of sides, unbiased at 0 (Székely & Rizzo 2013, J. Stat. Plan. Inference).

    It is (2 E|X−Y| − E|X−X'| − E|Y−Y'|) / 2 E|X−Y|; with the kernel −|x−y| this is the maximum mean discrepancy of Gretton
    et al. 2012 (JMLR 13), without a bandwidth to choose.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(points, points)
    count, ones = sides.sum(1), distances.sum(1)
    other = sides.shape[1] - count
    near = sides @ distances
    within = (near * sides).sum(1)
    across = sides @ ones - within
    rest = ones.sum() - 2 * across - within
    between = across / (count * other)
    inner = within / (count * (count - 1)) + rest / (other * (other - 1))
    return (2 * between - inner) / np.maximum(2 * between, 1e-12)


def _gap(values: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the widest gap between the cumulative shares of the two sides, for each line of sides."""
    values = np.nan_to_num(values, nan=-np.inf)
    order = np.argsort(values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order]) != 0), len(values) - 1)  # ties count as one step
    count = sides.sum(1, keepdims=True)
    passed = np.cumsum(sides[:, order], 1)[:, ends]
    return np.abs(passed / count - (ends + 1 - passed) / (len(values) - count)).max(1)


def _chi_squared(hot: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return Pearson's chi-squared of labels against sides, for each line of sides."""
    count, total = sides.sum(1, keepdims=True), hot.sum(0)
    expected = count * total / len(hot)
    squared = (sides @ hot - expected) ** 2
    return (squared / expected + squared / (total - expected)).sum(1)


def _moved(new: np.ndarray, known: np.ndarray) -> float:
    """Return the total variation distance of label shares; with several labels a row, the widest move of one label."""
    moved = np.abs(new.mean(0) - known.mean(0))
    single = (new.sum(1) == 1).all() and (known.sum(1) == 1).all()
    return float(moved.sum() / 2 if single else moved.max())


def _holm(values: dict[Any, float]) -> dict[Any, float]:
    """Return p-values corrected for how many there are."""
    corrected, least = {}, 0.0
    for place, key in enumerate(sorted(values, key=values.get)):
        least = max(least, min(1.0, (len(values) - place) * values[key]))
        corrected[key] = least
    return corrected


def _scaled(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return features float64, centred and divided by the spread of the training's; what never varied there counts once."""
    centre, spread = known.mean(0, dtype=np.float64), known.std(0, dtype=np.float64)
    floor = max(float(np.median(spread)), 1e-6)
    return (points - centre) / np.maximum(spread, 0.1 * floor)


def _multi_hot(labels: list[list[str]]) -> tuple[list[str], np.ndarray]:
    names = sorted({name for row in labels for name in row})
    places = {name: place for place, name in enumerate(names)}
    hot = np.zeros((len(labels), len(names)))
    for row, found in enumerate(labels):
        hot[row, [places[name] for name in found]] = 1
    return names, hot


def _varies(name: str, new: Sample, known: Sample) -> bool:
    if name not in new.statistics:
        return False
    pooled = np.concatenate([new.statistics[name], known.statistics[name]])
    return len(np.unique(pooled)) > 1


def _medians(name: str, new: Sample, known: Sample) -> dict[str, float | None]:
    found = {}
    for side, sample in (("value", new), ("against", known)):
        values = sample.statistics[name][np.isfinite(sample.statistics[name])]
        found[side] = round(float(np.median(values)), 6) if len(values) else None
    return found


def _shares(names: list[str], new: Sample, learnt: dict[str, float]) -> list[dict[str, Any]]:
    def share(name: str) -> float:
        return round(sum(name in row for row in new.labels) / new.rows, 6)

    every = sorted({*names, *learnt})
    return [{"label": name, "share": share(name), "against": round(learnt.get(name, 0.0), 6)} for name in every]
