"""Drift: whether new rows look like those that a run learnt from, in features, inputs and labels.

Every question is a two-sample test by permutation; where rows come in groups, whole groups change sides, so that rows that
belong together don't pass for independent ones. An alarm needs both a p-value below 5 % after Holm's correction over all
tests (Holm 1979) and an effect of a size that matters (`SIZES`): with many rows, the slightest difference is significant.
Testing learnt features beside single statistics follows Rabanser et al. 2019 (arXiv 1810.11953).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.statistics.paired import holm
from horngate.pipelines.statistics.two_samples import chi_squared, energy, gap, judged, sides_of

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
    sides = sides_of(new.units, known.units, max(DRAWS, 40 * tests), seed)
    effects, values = {}, {}
    if with_features:
        scaled = _scaled(np.concatenate([new.features, known.features]), known.features)
        effects["features"], values["features"] = judged(energy(scaled, sides))
    for name in names:
        pooled = np.concatenate([new.statistics[name], known.statistics[name]])
        effects["inputs", name], values["inputs", name] = judged(gap(pooled, sides))
    if new.labels and known.labels:
        found, hot = _multi_hot([*new.labels, *known.labels])
        values["labels"] = judged(chi_squared(hot, sides))[1]
        effects["labels"] = _moved(hot[: new.rows], hot[new.rows :])
    corrected = dict(zip(values, holm(list(values.values())), strict=True))
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


def _moved(new: np.ndarray, known: np.ndarray) -> float:
    """Return the total variation distance of label shares; with several labels a row, the widest move of one label."""
    moved = np.abs(new.mean(0) - known.mean(0))
    single = (new.sum(1) == 1).all() and (known.sum(1) == 1).all()
    return float(moved.sum() / 2 if single else moved.max())


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
