"""Strange pictures: magnetic tiles (Huang, Qiu & Yuan 2018), for the row `tiles` of benchmarks/anomaly.py.

Normal: Free, the first 300 by name to learn from, the other 150 and all 392 defects for the test, each defect with its
mask. Of the 300, a tenth is set aside for p-values and threshold. Tiles of all shapes are stretched to a square. Which
strides are looked at, and that patches have the length 1, was chosen on the 300 alone by benchmarks/anomaly_choices.py.
"""

import csv
import shutil
from pathlib import Path

from bench import DATA

TILES = DATA / "vision" / "magnetic_tiles"
WEIGHTS = DATA / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"
LEARNT = 300
THROUGH = {"backbone": "mobilenet_v2", "weights": str(WEIGHTS)}
DETECTORS = {
    "patchcore": {"detector": "patchcore", **THROUGH},
    "patchcore, finest 16": {"detector": "patchcore", "finest": "16", **THROUGH},
    "padim": {"detector": "padim", **THROUGH},
    "padim, finest 16": {"detector": "padim", "finest": "16", **THROUGH},
    "autoencoder": {"detector": "autoencoder"},
}


def listed(path: Path) -> None:
    """Write the table of tiles: path, label, mask, split."""
    free = sorted((TILES / "Free").glob("*.jpg"))
    rows = [(file, "Free", "", "train" if place < LEARNT else "test") for place, file in enumerate(free)]
    for folder in sorted(folder for folder in TILES.iterdir() if folder.name != "Free"):
        rows += [(file, folder.name, file.with_suffix(".png"), "test") for file in sorted(folder.glob("*.jpg"))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "mask", "split"), *rows])


def tiles(work: Path) -> dict:
    """Return the scores of each detector with their intervals, by kind of defect, and the reference's."""
    listed(work / "tiles.csv")
    return {name: measured(work, name, knobs) for name, knobs in DETECTORS.items()}


def measured(work: Path, name: str, knobs: dict) -> dict:
    """Return what one detector scores on the test tiles."""
    from horngate.pipelines import train
    from horngate.pipelines.anomaly import Image
    from horngate.pipelines.system.files import read_json

    folder = work / f"tiles-{name.replace(', ', '-').replace(' ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    card = Image(data=str(work / "tiles.csv"), split_column="split", allow_outside=True, output=str(folder), **knobs)
    run = train(card)
    report = read_json(run / "evaluation" / "test" / "report.json")
    found = {
        metric: [round(score[part], 4) for part in ("value", "low", "high")]
        for metric, score in report["metrics"].items()
    }
    found["auroc by defect"] = {row["defect"]: round(row["auroc"], 4) for row in report["details"]["defects"]}
    found["thumbnail_neighbours"] = round(report["references"]["thumbnail_neighbours"]["auroc"]["value"], 4)
    print("tiles", name, found, flush=True)
    return found
