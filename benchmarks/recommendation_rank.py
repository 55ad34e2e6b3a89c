"""Ratings of MovieLens-100k beside a model of biases and trees, and how fast a ranker learns and answers.

    HORNGATE_DATA=… python benchmarks/recommendation_rank.py [movielens speed]

movielens: every fifth rating, drawn with seed 0, is for the test; of the others a tenth is for validation, where the
network, its number of epochs and all knobs were chosen. What is known of users and items is joined by their ids; times and
titles are left out. `members` and `refit` are those of the recipe `thorough`. Published on other random fifths: DCN of
keras-rs .9136, SVD .9387. The run is kept in $HORNGATE_BENCH_RUNS (default: below the temporary folder) until it is
measured, and a call goes on with it where the last one was cut.
speed: seconds of a training step with the rows that a training reads, against `fit` of plain Keras on arrays in memory;
rows per second and peak memory of `predict` for a tenth of a million rows and for a million.
Results are merged into benchmarks/results/recommendation_rank.json.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-rank"))
MOVIELENS = DATA / "recommendation" / "ml-100k"
TEST = 0.2
PEAK = """import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "horngate.cli", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def lines(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the files, by column without its type."""
    with (MOVIELENS / f"ml-100k.{name}").open(encoding="latin-1", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    return [dict(zip((column.split(":")[0] for column in header), row, strict=True)) for row in rows]


def written(folder: Path) -> dict[str, str]:
    """Write ratings with their split, users and items as JSON lines; return the knobs that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    ratings = lines("inter")
    test = set(np.random.default_rng(0).permutation(len(ratings))[: round(TEST * len(ratings))].tolist())
    rows = [
        {name: row[name] for name in ("user_id", "item_id", "rating")} | {"split": "test" if place in test else "train"}
        for place, row in enumerate(ratings)
    ]
    items = [
        {"item_id": row["item_id"], "release_year": row["release_year"], "genres": row["class"].split()}
        for row in lines("item")
    ]
    for name, part in (("ratings", rows), ("users", lines("user")), ("items", items)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    knobs = {"data": "ratings", "users": "users", "items": "items"}
    return {knob: str(folder / f"{name}.jsonl") for knob, name in knobs.items()}


def trained(folder: Path, **knobs):
    """Return the run of these knobs below a folder, finished; one that was cut goes on."""
    from horngate.pipelines import train
    from horngate.pipelines.recommendation import Rank

    begun = sorted(path.parent for path in folder.glob("runs/*/recipe.yaml"))
    if begun:
        return train(resume=begun[0])
    return train(Rank(**knobs, output=str(folder / "runs")))


def movielens(**knobs) -> dict:
    """Return the scores of ratings that no choice has seen."""
    from horngate.pipelines.system.files import read_json

    folder = WORK / "movielens"
    chosen = {"category_column": ("age", "release_year"), "refit": True, "members": 4} | knobs
    run = trained(folder, **written(folder), split_column="split", kind="rating", **chosen)
    report = read_json(run / "evaluation" / "test" / "report.json")
    held = read_json(run / "evaluation" / "validation" / "report.json")
    found = {name: [score["value"], score["low"], score["high"]] for name, score in report["metrics"].items()}
    found["references"] = {
        name: {key: value["value"] for key, value in scores.items()} for name, scores in report["references"].items()
    }
    found["chosen"] = {
        name: run.summary["protocol"][name] for name in ("method", "chosen_because", "epochs", "members")
    }
    found["validation rmse (learnt from, where refitted)"] = held["metrics"]["rmse"]["value"]
    found["rows"] = run.summary["rows"]
    found["seconds"] = run.summary["seconds"]
    shutil.rmtree(folder)
    return found


def million(path: Path, rows: int) -> str:
    """Write so many rows of 100,000 users and 10,000 items as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    columns = {"user_id": draw.integers(0, 100_000, rows), "item_id": draw.integers(0, 10_000, rows)}
    columns |= {f"number_{place}": draw.normal(size=rows).astype(np.float32) for place in range(4)}
    columns |= {f"kind_{place}": pa.array([f"k{code}" for code in draw.integers(0, 50, rows)]) for place in range(4)}
    columns["click"] = (draw.random(rows) < 0.2).astype(np.int8)
    pq.write_table(pa.table(columns), path)
    return str(path)


def speed() -> dict:
    """Return seconds of steps, rows per second and peak memory."""
    from horngate.models.recommendation.rankers import Forgetting, Layout, Shape, compiled, ranker, scaling_of
    from horngate.models.training.learning import CheckpointPolicy, Plan, learn
    from horngate.models.training.optimizer import adamw

    draw, count = np.random.default_rng(0), 307_200
    entries = ((0, 1, 100_000), (1, 1, 10_000), *((place, 1, 50) for place in range(2, 6)))
    rows = np.stack([draw.integers(0, size, count) for _, _, size in entries], 1).astype(np.float32)
    rows = np.concatenate([rows, draw.normal(size=(count, 4)).astype(np.float32)], 1)
    targets = (draw.random((count, 1)) < 0.2).astype(np.float32)
    layout, steps = Layout(10, entries, (6, 7, 8, 9)), count // 1024
    seconds: dict[str, list[float]] = {"read": [], "in memory": []}
    model = compiled(
        ranker("deepfm", layout, Shape(16, 0.2), scaling_of(layout, rows), "speed"),
        adamw(1e-3, 9 * steps, 0.05, 1e-4),
        True,
    )
    fed = Forgetting(rows, targets, entries, 0.01, 0)
    none = Forgetting(rows[:0], targets[:0], entries, 0.01, 0)
    for turn in range(8):
        started = time.perf_counter()
        learn(model, fed, none, Plan(f"turn {turn}", 1, 1024, turn, monitor=None), CheckpointPolicy(None))
        seconds["read"].append(time.perf_counter() - started)
        started = time.perf_counter()
        model.fit(rows, targets, batch_size=1024, verbose=0)
        seconds["in memory"].append(time.perf_counter() - started)
    usual = {name: float(np.median(values[1:])) / steps for name, values in seconds.items()}
    found = {f"seconds a step, {name}": round(value, 5) for name, value in usual.items()}
    ratio = np.median(np.array(seconds["read"][1:]) / seconds["in memory"][1:])
    return found | {"median ratio of turns": round(float(ratio), 3)} | answered()


def answered() -> dict:
    """Return rows per second and peak memory of `predict`."""
    folder = WORK / "speed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = trained(folder, data=million(folder / "learnt.parquet", 50_000), model="deepfm", epochs=1)
    peaks, rates = {}, {}
    for count in (100_000, 1_000_000):
        inputs = million(folder / f"{count}.parquet", count)
        words = ["-q", "predict", str(run.folder), inputs, "-o", str(folder / f"{count}.out.parquet")]
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True)
        rates[str(count)] = round(count / (time.monotonic() - started))
        peaks[str(count)] = round(int(done.stdout) / 1024)
    few, many = peaks.values()
    shutil.rmtree(folder)
    return {"rows per second": rates, "peak MB by rows": peaks, "memory ratio": round(many / few, 3)}


ROWS = {"movielens": movielens, "speed": speed}


def main() -> None:
    """Measure the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    for row in parser.parse_args().rows:
        keep("recommendation_rank", row, ROWS[row]())


if __name__ == "__main__":
    main()
