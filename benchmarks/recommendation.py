"""Retrieval on public logs, beside popularity, ItemKNN and EASE of the same runs; each row can be cut and goes on.

    HORNGATE_DATA=… python benchmarks/recommendation.py [ROW ...] [--seeds N] [--rows N]

Rows: ml-100k ml-100k-last gowalla lastfm speed-evaluate speed-step speed-predict (default: all).
ml-100k: every rating counts as met, 8:1:1 drawn of each user, all models, three seeds. ml-100k-last: the last item of each
user by time. gowalla, lastfm: given splits; the epochs are chosen on validation, then learnt from train and validation.
Full ranking everywhere, what was seen is masked. Nothing is chosen on test rows: `temperature` and `layers` below were
chosen by validation NDCG@10. Runs are kept in $HORNGATE_BENCH_RUNS (default: below the temporary folder), and a call goes
on where the last one was cut. Results are merged into benchmarks/results/recommendation.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-recommendation"))
LOGS = DATA / "recommendation"
MOVIES = LOGS / "ml-100k" / "ml-100k.inter"
GOWALLA = {"model": "lightgcn", "layers": 2, "temperature": 0.0942, "epochs": 30}
NEURAL = ("mf", "lightgcn", "multvae")
PEAK = """import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "horngate.cli", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
METRICS = ("ndcg_at_10", "recall_at_20", "ndcg_at_20", "hit_rate_at_10")


def learnt(name: str, task: str = "Retrieve", **knobs):
    """Return the run of a task's card, trained unless it was before; one that was cut goes on."""
    from horngate.pipelines import recommendation, train
    from horngate.pipelines.runs.run import list_runs

    folder = WORK / name
    runs = list_runs(folder)
    if runs and (runs[-1] / "splits.parquet").exists():
        return train(resume=runs[-1])
    return train(getattr(recommendation, task)(output=str(folder), **knobs))


def scored(run) -> dict:
    """Return the scores of a run and of its rivals, test and validation."""
    from horngate.pipelines.system.files import read_json

    found = {}
    for split in ("validation", "test"):
        report = read_json(run / "evaluation" / split / "report.json")
        own = {name: round(report["metrics"][name]["value"], 4) for name in METRICS}
        rivals = {
            name: {metric: round(scores[metric]["value"], 4) for metric in METRICS}
            for name, scores in report["references"].items()
        }
        found[split] = {run.summary["method"]: own} | rivals
    return found | {"seconds": run.summary["seconds"]}


def movies(seeds: int) -> dict:
    """Return the scores of all models on MovieLens-100k, and the best one's share of EASE's in the same run."""
    found: dict = {}
    knobs = {"data": str(MOVIES), "split_rule": "per-user"}
    for seed in range(seeds):
        own = {model: scored(learnt(f"ml-100k-{model}-{seed}", **knobs, model=model, seed=seed)) for model in NEURAL}
        best = max(NEURAL, key=lambda model: own[model]["validation"][model]["ndcg_at_10"])
        ease = own[best]["test"]["ease"]["ndcg_at_10"]
        found[f"seed {seed}"] = {
            "test ndcg_at_10": {model: own[model]["test"][model]["ndcg_at_10"] for model in NEURAL}
            | {name: own[best]["test"][name]["ndcg_at_10"] for name in ("popularity", "item_knn", "ease")},
            "best on validation": best,
            "share of ease": round(own[best]["test"][best]["ndcg_at_10"] / ease, 4),
            "seconds": {model: own[model]["seconds"] for model in NEURAL},
        }
    return found


def last_movies() -> dict:
    """Return the scores on the last movie of each user."""
    found = {
        model: scored(learnt(f"ml-100k-last-{model}", data=str(MOVIES), model=model, split_rule="leave-one-out"))
        for model in (*NEURAL, "ease")
    }
    best = max(NEURAL, key=lambda model: found[model]["validation"][model]["ndcg_at_10"])
    return found | {"best neural on validation": best}


def given(name: str, **knobs) -> dict:
    """Return the scores on a log with given splits."""
    run = learnt(name, data=str(LOGS / name), split_rule="per-user", refit=True, **knobs)
    return scored(run) | {"costs": run.summary["costs_seconds"]}


def speed_evaluate() -> dict:
    """Return the seconds that full ranking of all test users of Gowalla takes, model, masks, lists and measures."""
    from horngate.pipelines import evaluate

    run = learnt("gowalla-quick", data=str(LOGS / "gowalla"), split_rule="per-user", model="mf", epochs=1)
    started = time.perf_counter()
    report = evaluate(run, output=WORK / "gowalla-evaluated")
    seconds = time.perf_counter() - started
    return {"users": report.rows, "seconds": round(seconds, 1)}


def speed_step() -> dict:
    """Return a step's milliseconds through the input pipeline, and with the batch in memory."""
    import keras

    from horngate.models.recommendation.interactions import UserRows
    from horngate.models.recommendation.retrieval import Factors, Ranker
    from horngate.models.training.learning import ArrayRows, CheckpointPolicy, Plan, learn
    from horngate.pipelines.recommendation import Retrieve
    from horngate.pipelines.recommendation.interactions.inspection import inspect_log

    seen = inspect_log(Retrieve(data=str(LOGS / "gowalla"), split_rule="per-user"))
    lists = seen.store().lists(seen.sides == 0)
    rows = UserRows(lists, False, 0)
    users = keras.Input((), dtype="int32")
    found = {}
    whole = rows.batch(np.arange(rows.count), 0)
    nothing = ArrayRows(np.zeros(0, np.int32), np.zeros((0, 1), np.int32))
    for name, source in (("pipeline", rows), ("memory", ArrayRows(whole[0], whole[1])), ("pipeline again", rows)):
        model = Ranker(users, Factors(lists.users, lists.count, 64)(users))
        model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
        plan = Plan("speed", 2, 512, 0, monitor=None)
        learn(model, source, nothing, plan, CheckpointPolicy())
        started = time.perf_counter()
        learn(model, source, nothing, plan, CheckpointPolicy())
        found[name] = round(1000 * (time.perf_counter() - started) / (2 * plan.steps(rows.count)), 1)
    return found


def speed_predict(rows: int, items: int = 10_000) -> dict:
    """Return users per second of the command `predict`, and its peak memory for a tenth of them and for all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = WORK / f"predict-{rows}"
    folder.mkdir(parents=True, exist_ok=True)
    draw, log = np.random.default_rng(0), folder / "log.parquet"
    if not log.exists():
        users = np.repeat(np.arange(rows), 5)
        met = (items * draw.random(len(users)) ** 2).astype(np.int64)
        split = np.full(len(users), "train", object)
        split[3:50_000:5], split[4:50_000:5] = "validation", "test"  # of 10,000 users
        pq.write_table(pa.table({"user": users, "item": met, "split": split}), log)
        for name, count in (("few", rows // 10), ("all", rows)):
            pq.write_table(pa.table({"user": np.arange(count)}), folder / f"{name}.parquet")
    run = learnt(f"predict-{rows}/runs", data=str(log), split_column="split", model="mf", epochs=1, batch_size=4096)
    found: dict = {"users": rows, "items": items}
    for name, count in (("few", rows // 10), ("all", rows)):
        words = ["predict", run.folder, folder / f"{name}.parquet", "--overwrite", "-o", folder / f"{name}.out.parquet"]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *map(str, words)], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - started
        found[name] = {"users per second": round(count / seconds), "peak MB": int(done.stdout) // 1024}
    return found


ROWS: dict[str, Callable[[argparse.Namespace], dict]] = {
    "ml-100k": lambda asked: movies(asked.seeds),
    "ml-100k-last": lambda asked: last_movies(),
    "gowalla": lambda asked: given("gowalla", **GOWALLA),
    "lastfm": lambda asked: given("lastfm_lightgcnpp", model="lightgcn"),
    "speed-evaluate": lambda asked: speed_evaluate(),
    "speed-step": lambda asked: speed_step(),
    "speed-predict": lambda asked: speed_predict(asked.rows),
}


def main() -> None:
    """Measure the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("named", nargs="*", metavar="ROW", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="users of speed-predict")
    asked = parser.parse_args()
    for row in asked.named:
        keep("recommendation", row, ROWS[row](asked))


if __name__ == "__main__":
    main()
