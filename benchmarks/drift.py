"""How often drift is seen where there is none, and whether it is seen where there is some.

HORNGATE_DATA=/path/to/data python benchmarks/drift.py

A MobileNet (alpha 0.25, 128 pixels) is probed on flowers5. Random halves of its training rows are compared with each other,
then other rows with the run's own profile: its test rows, the same pictures darkened by half or a little, blurred, with
other label shares, and another data set.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from bench import DATA, FLOWERS, keep
from PIL import Image, ImageEnhance, ImageFilter

from horngate.pipelines import check, train
from horngate.pipelines.data.sources.loader import examples
from horngate.pipelines.runs.profile import ROWS, sampled
from horngate.pipelines.statistics.drift import Sample, drift
from horngate.pipelines.tasks.task import Task, task_of
from horngate.pipelines.vision import Classify

HALVES = 100
CHANGES = {
    "darkened by half": lambda picture: ImageEnhance.Brightness(picture).enhance(0.5),
    "darkened by a tenth": lambda picture: ImageEnhance.Brightness(picture).enhance(0.9),
    "blurred by 2 pixels": lambda picture: picture.filter(ImageFilter.GaussianBlur(2)),
    "saved anew, unchanged": lambda picture: picture,
}


def main() -> None:
    """Train, compare, keep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        card = Classify(
            data=str(FLOWERS / "split.csv"),
            split_column="split",
            group_column="group",
            backbone="mobilenet",
            alpha=0.25,
            image_size=128,
            weights=str(DATA / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5"),
            method="probe",
            output=str(folder),
        )
        run = train(card)
        task = task_of(run.card).opened(run)
        table = examples(run.card, task.rows.suffixes)
        halves(task, table.filter(pc.equal(table["split"], "train")))
        plain = replace(card, split_column=None, group_column=None)
        test = [row for row in table.to_pylist() if row["split"] == "test"]
        for title, source in sources(folder, test).items():
            keep("drift", title, kept(check(replace(plain, data=str(source)), run)["drift"]))


def sources(folder: Path, test: list[dict]) -> dict[str, Path]:
    """Return folders of pictures by what was done to them."""
    made = {"test rows": written(folder / "test", test, None)}
    few = np.random.default_rng(0).permutation(len(test))[:200]
    for title, change in CHANGES.items():
        made[f"200 test rows, {title}"] = written(folder / title, [test[row] for row in few], change)
    two = [row for row in test if row["target"] in ("rose", "tulip")]
    made["test rows of two classes"] = written(folder / "two", two, None)
    made["magnetic tiles"] = DATA / "vision" / "magnetic_tiles"
    return made


def written(folder: Path, rows: list[dict], change) -> Path:
    """Write rows into class folders, changed, or as links where nothing is to change."""
    for number, row in enumerate(rows):
        path = folder / row["target"] / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        source = Path(os.fsdecode(row["input"]))
        if change is None:
            path.symlink_to(source)
        else:
            change(Image.open(source).convert("RGB")).save(path, quality=95)
    return folder


def halves(task: Task, table: pa.Table) -> None:
    """Compare random halves of training rows, which differ by chance alone, by groups."""
    every = sampled(task, table, None, table.num_rows)
    learnt = {name: sum(name in row for row in every.labels) / every.rows for name in task.fitted.decisions.labels}
    units = np.unique(every.units)
    found = []
    for seed in range(HALVES):
        drawn = np.random.default_rng(seed).permutation(units)
        sides = (drawn[: len(units) // 2], drawn[len(units) // 2 :])
        rows = [np.flatnonzero(np.isin(every.units, part)) for part in sides]
        rows = [np.random.default_rng(seed).permutation(part)[:ROWS] for part in rows]
        found.append(drift(*(at(every, part) for part in rows), learnt, seed))
    shown = {
        "comparisons": HALVES,
        "alarms": sum(one["alarm"] for one in found),
        "significant": sum(min(p_values(one)) < 0.05 for one in found),
        "largest distance": round(max(one["features"]["distance"] for one in found), 4),
        "widest gap": round(max(row["effect"] for one in found for row in one["inputs"]), 4),
        "largest move of labels": round(max(one["labels_moved"]["distance"] for one in found), 4),
    }
    keep("drift", "random halves of the training rows", shown)


def at(sample: Sample, rows: np.ndarray) -> Sample:
    """Return some rows of a sample."""
    statistics = {name: values[rows] for name, values in sample.statistics.items()}
    return Sample(sample.features[rows], statistics, [sample.labels[row] for row in rows], sample.units[rows])


def p_values(found: dict) -> list[float]:
    """Return all corrected p-values of a comparison."""
    return [part["p_value"] for part in (found["features"], found["labels_moved"], *found["inputs"])]


def kept(found: dict) -> dict:
    """Return what is worth keeping of a comparison."""
    widest = sorted(found["inputs"], key=lambda row: -row["effect"])[:3]
    return {
        "rows": found["rows"],
        "alarm": found["alarm"],
        "features": [round(found["features"][name], 4) for name in ("distance", "p_value")],
        "inputs": {row["name"]: [round(row["effect"], 3), round(row["p_value"], 3)] for row in widest},
        "labels moved": round(found["labels_moved"]["distance"], 3),
        "said": found["said"],
    }


if __name__ == "__main__":
    main()
