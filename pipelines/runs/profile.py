"""A run's profile: what it keeps of its training rows, so that others can be compared with them when they are gone."""

import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.data.sources.blocks import CORE
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.statistics.drift import Sample
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import whole
from horngate.pipelines.tasks.parts import tensors_of
from horngate.pipelines.tasks.task import Task

FORMAT = 1
ROWS = 500  # at most, on each side
NAME = "profile.npz"


@dataclass(frozen=True)
class Profile:
    """What a run keeps of its training rows: a sample, the label shares of all, and what was in each column."""

    sample: Sample
    learnt: dict[str, float]
    columns: dict[str, str]


def keep_profile(task: Task, table: pa.Table, same: np.ndarray, splits: np.ndarray, run: Run) -> None:
    """Write `profile.npz`: statistics, features, labels and units of up to 500 training rows, drawn with the seed.

    Args:
        table: all rows; `same` numbers those that show the same, and `splits` says which are for training.
    """
    rows = np.flatnonzero(splits == "train")
    train = table.take(pa.array(rows))
    sample = sampled(task, train, same[rows])
    names = [task.evaluator.labels_in(target) or [] for target in train["target"].to_pylist()]
    counts = Counter(name for row in names for name in row)
    facts = {
        "format": FORMAT,
        "labels": sample.labels,
        "learnt": {name: count / len(rows) for name, count in sorted(counts.items())},
        "columns": columns_of(train),
    }
    arrays = {f"statistic {name}": values for name, values in sample.statistics.items()}
    if sample.features is not None:
        arrays["features"] = sample.features.astype(np.float32)
    with whole(run / NAME) as temporary, temporary.open("wb") as out:
        np.savez(out, facts=np.array(json.dumps(facts)), units=sample.units, **arrays)


def read_profile(run: Run) -> Profile | None:
    """Return a run's profile; None where an older version trained it.

    Raises:
        UserError: damaged, or from a newer version.
    """
    path = run / NAME
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            arrays = {name: stored[name] for name in stored.files if name != "facts"}
            if facts["format"] > FORMAT:
                raise UserError(f"{path} was written by a newer horngate; update this one to open it")
            prefix = "statistic "
            found = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
            sample = Sample(arrays.get("features"), found, facts["labels"], arrays["units"])
            return Profile(sample, facts["learnt"], facts["columns"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise UserError(f"{path} is damaged; train anew, or remove it to go on without a look for drift") from None


def columns_of(table: pa.Table) -> dict[str, str]:
    """Return for each kept column whether it holds numbers, text, or nothing."""
    return {name: _kind(table[name]) for name in table.column_names if name not in CORE}


def _kind(column: pa.ChunkedArray) -> str:
    values = [value for value in column.to_pylist() if value not in (None, "")]
    if not values:
        return "empty"
    try:
        for value in values:
            float(value)
        return "number"
    except ValueError:
        return "text"


def sampled(task: Task, table: pa.Table, same: np.ndarray | None, most: int = ROWS) -> Sample:
    """Return up to `most` rows, drawn with the seed; rows that can't be read are left out."""
    draw = np.random.default_rng(task.card.seed)
    rows = np.sort(draw.permutation(table.num_rows)[:most])
    units = _units(table, same)[rows]
    table = table.take(pa.array(rows))
    good, found, features = [], [], []

    def read(row: tuple) -> tuple:
        data = content(*row)
        tensor = tensors_of(task.reader.read(data))[0]  # of several, the first stands for the row
        return tensor, task.reader.statistics(data, tensor)

    inputs = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
    size = task.predictor.batch_size
    stream = enumerate(in_order(read, inputs, ahead=4 * size))
    with progress.job("looking for drift", table.num_rows) as done:
        while batch := list(islice(stream, size)):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            whole_ones = [(row, *seen) for row, seen in batch if not isinstance(seen, Unreadable)]
            good += [row for row, _, _ in whole_ones]
            found += [statistics for _, _, statistics in whole_ones]
            features.append(_features(task, [tensor for _, tensor, _ in whole_ones]))
            done(len(batch))
    features = [part for part in features if part is not None]
    names = dict.fromkeys(name for statistics in found for name in statistics)
    columns = {name: np.array([row.get(name, np.nan) for row in found], np.float64) for name in names}
    return Sample(np.concatenate(features) if features else None, columns, _labels(task, table, good), units[good])


def _features(task: Task, tensors: list[np.ndarray]) -> np.ndarray | None:
    """Return the features of some tensors, the batch filled up to its full size, so that no other shape is compiled."""
    if not tensors:
        return None
    features = task.predictor.features(task.reader.collate(tensors, task.predictor.batch_size))
    return None if features is None else features[: len(tensors)]


def _labels(task: Task, table: pa.Table, rows: list[int]) -> list[list[str]] | None:
    """Return the labels of rows; None where some row has none, or the task knows no labels."""
    targets = table["target"].to_pylist()
    if not rows or any(targets[row] is None for row in rows):
        return None
    names = [task.evaluator.labels_in(targets[row]) for row in rows]
    return None if names[0] is None else names


def _units(table: pa.Table, same: np.ndarray | None) -> np.ndarray:
    """Return int64 numbers of rows that belong together: by their group, else by showing the same."""
    numbers = range(table.num_rows) if same is None else same.tolist()
    named = [group or number for group, number in zip(table["group"].to_pylist(), numbers, strict=True)]
    places: dict[Any, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in named], np.int64)
