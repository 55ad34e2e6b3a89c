"""Anomaly detection on public tables, beside scikit-learn and a few lines of ECOD on the same rows; each row can be cut.

    HORNGATE_DATA=… python benchmarks/anomaly.py [ROW ...] [--tables NAME,NAME] [--seeds N]

Rows: contaminated one-class labelled ai4i speed tiles nab nab-long skab (default: all; the last three are described in
anomaly_series.py). The tables of ADBench (Han et al. 2022) are split 70/30, stratified, over 3 seeds; no row is
doubled. Of the 70, a tenth is set aside for validation. In `contaminated` no training row has a label, in `one-class`
anomalies are left out, in `labelled` a tenth of the training anomalies are known and no other row is. Nothing is
chosen on test rows. Runs are thrown away once measured; what was measured of each is kept in $HORNGATE_BENCH_RUNS
(default: below the temporary folder), and a call goes on where the last one was cut. Results are merged into
benchmarks/results/anomaly.json.
"""

import argparse
import csv
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from anomaly_pictures import tiles
from anomaly_series import ROWS as SERIES
from bench import DATA, keep, peak_of

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-anomaly"))
ANOMALY = DATA / "anomaly"
AI4I_LEAKS = ("TWF", "HDF", "PWF", "OSF", "RNF")
KNOWN = 0.1  # of the training anomalies, in `labelled`


def arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return rows float64 `[n, d]` and whether each is an anomaly, of one file of ADBench."""
    with np.load(path, allow_pickle=False) as stored:
        return stored["X"].astype(np.float64), stored["y"].astype(bool)


def sides(anomalous: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places of the training and of the test rows."""
    from sklearn.model_selection import train_test_split

    return train_test_split(np.arange(len(anomalous)), test_size=0.3, stratify=anomalous, random_state=seed)


def known_labels(anomalous: np.ndarray, train: np.ndarray, row: str, seed: int) -> np.ndarray:
    """Return the label cell of each row: empty where the protocol doesn't tell it."""
    labels = np.where(anomalous, "1", "0").astype(object)
    if row == "contaminated":
        labels[train] = ""
    if row == "labelled":
        there = train[anomalous[train]]
        draw = np.random.default_rng(seed + 100).permutation(there)
        labels[train] = ""
        labels[draw[: max(1, int(np.ceil(KNOWN * len(there))))]] = "1"
    return labels


def measured(path: Path, row: str, seed: int) -> dict:
    """Return the test scores of one training and of its rivals."""
    from horngate.pipelines import train
    from horngate.pipelines.anomaly import Table
    from horngate.pipelines.system.files import read_json

    rows, anomalous = arrays(path)
    learnt, test = sides(anomalous, seed)
    labels = known_labels(anomalous, learnt, row, seed)
    folder = WORK / f"{row}-{path.stem}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    split = np.full(len(rows), "train", object)
    split[test] = "test"
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{place}" for place in range(rows.shape[1])), "label", "split"])
        writer.writerows([*cells, label, side] for cells, label, side in zip(rows.tolist(), labels, split, strict=True))
    protocol = "one-class" if row == "one-class" else "contaminated"
    # One-class: the labels say which rows to leave out. Where no row is labelled "0", 1 has to be named.
    run = train(
        Table(
            data=str(folder / "rows.csv"),
            split_column="split",
            protocol=protocol,
            positive="1",
            labelled=row == "labelled",
            seed=seed,
            output=str(folder / "runs"),
        )
    )
    report = read_json(run / "evaluation" / "test" / "report.json")
    found = {"auto": {name: score["value"] for name, score in report["metrics"].items()}}
    found |= {
        name: {key: value["value"] for key, value in scores.items()} for name, scores in report["references"].items()
    }
    if row == "labelled":
        found["hist_gradient_boosting"] = boosted(rows, anomalous, labels == "1", (learnt, test), seed)
    found["seconds"] = run.summary["seconds"]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def boosted(rows: np.ndarray, anomalous: np.ndarray, known: np.ndarray, parts: tuple, seed: int) -> dict:
    """Return the scores of scikit-learn's histogram gradient boosting on the same labels; the unlabelled count as normal."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score, roc_auc_score

    learnt, test = parts
    model = HistGradientBoostingClassifier(random_state=seed).fit(rows[learnt], known[learnt])
    said = model.predict_proba(rows[test])[:, 1]
    return {
        "auroc": float(roc_auc_score(anomalous[test], said)),
        "average_precision": float(average_precision_score(anomalous[test], said)),
    }


def adbench(row: str, tables: list[str], seeds: int) -> dict:
    """Return mean scores over tables and seeds, of `auto` and its rivals, and the mean AUROC of each table."""
    path = WORK / f"{row}.json"
    WORK.mkdir(parents=True, exist_ok=True)
    done = json.loads(path.read_text()) if path.exists() else {}
    files = sorted((ANOMALY / "adbench").glob("*.npz"), key=lambda file: file.stat().st_size)
    files = [file for file in files if not tables or any(name in file.stem for name in tables)]
    for seed in range(seeds):
        for file in files:
            key = f"{file.stem} {seed}"
            if key not in done:
                done[key] = measured(file, row, seed)
                path.write_text(json.dumps(done))
                print(
                    row, key, {name: round(part["auroc"], 3) for name, part in _scored(done[key]).items()}, flush=True
                )
    own = [done[f"{file.stem} {seed}"] for seed in range(seeds) for file in files]
    means = {
        name: {metric: round(float(np.mean([found[name][metric] for found in own])), 4) for metric in measures}
        for name, measures in _scored(own[0]).items()
    }
    by_table = {
        file.stem: {
            name: round(float(np.mean([done[f"{file.stem} {seed}"][name]["auroc"] for seed in range(seeds)])), 4)
            for name in _scored(own[0])
        }
        for file in files
    }
    return {"tables": len(files), "seeds": seeds, "mean": means, "auroc": by_table}


def _scored(found: dict) -> dict:
    return {name: part for name, part in found.items() if isinstance(part, dict)}


def ai4i() -> dict:
    """Return what `check` finds in AI4I (Matzka 2020), and the scores of detectors without its five leaks."""
    from horngate.pipelines import check, train
    from horngate.pipelines.anomaly import Table
    from horngate.pipelines.system.files import read_json

    data = str(ANOMALY / "ai4i2020" / "ai4i2020.csv")
    whole = Table(data=data, target_column="Machine failure", id_column="UID", drop_column=("Product ID",))
    said = " ".join(finding["message"] for finding in check(whole)["findings"] if finding["grade"] == "warning")
    found: dict = {"leaks that check finds": [name for name in AI4I_LEAKS if name in said]}
    for detector in ("auto", "autoencoder", "deviation"):
        folder = WORK / f"ai4i-{detector}"
        shutil.rmtree(folder, ignore_errors=True)
        run = train(
            Table(
                data=data,
                target_column="Machine failure",
                id_column="UID",
                drop_column=("Product ID", *AI4I_LEAKS),
                detector=detector,
                test=0.3,
                output=str(folder),
            )
        )
        report = read_json(run / "evaluation" / "test" / "report.json")
        score = report["metrics"]["average_precision"]
        found[detector] = [score["value"], score["low"], score["high"]]
        rival = report["references"]["isolation_forest"]["average_precision"]
        found["isolation_forest"] = [rival["value"], rival["low"], rival["high"]]
        shutil.rmtree(folder, ignore_errors=True)
    return found


def speed() -> dict:
    """Return rows per second from memory and the seconds of a fit on 10,000 × 30; rows per second and MB from Parquet."""
    from horngate.pipelines import train
    from horngate.pipelines.anomaly import Table
    from horngate.pipelines.tasks.task import task_of

    folder = WORK / "speed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(10_000, 30)) @ draw.normal(size=(30, 30))).astype(np.float32)
    written(folder / "rows.parquet", rows, 1)
    found = {}
    for detector, knobs in (("auto", {}), ("autoencoder", {"epochs": 2})):
        run = train(Table(data=str(folder / "rows.parquet"), detector=detector, output=str(folder / "runs"), **knobs))
        found[f"{detector}: seconds to fit"] = sum(run.summary["costs_seconds"].values())
        predictor = task_of(run.card).opened(run).predictor
        batch = np.resize(rows, (200_000, 30))
        predictor.outputs_of(batch[:20_000])
        started = time.perf_counter()
        predictor.outputs_of(batch)
        found[f"{detector}: rows per second"] = round(len(batch) / (time.perf_counter() - started))
    for thousands in (100, 1000):
        written(folder / f"{thousands}.parquet", rows, thousands // 10)
        words = ("-q", "predict", str(run.folder), str(folder / f"{thousands}.parquet"))
        started = time.perf_counter()
        peak = peak_of(*words, "-o", str(folder / f"{thousands}-said.parquet"))
        seconds = time.perf_counter() - started
        found[f"autoencoder from Parquet, {thousands},000 rows"] = {"MB": round(peak), "seconds": round(seconds, 1)}
    shutil.rmtree(folder, ignore_errors=True)
    return found


def written(path: Path, rows: np.ndarray, times: int) -> None:
    """Write rows so many times into one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({f"x{place}": column for place, column in enumerate(rows.T)})
    with pq.ParquetWriter(path, table.schema) as file:
        for _ in range(times):
            file.write_table(table)


ROWS: dict[str, Callable] = {"ai4i": ai4i, "speed": speed, "tiles": lambda: tiles(WORK)} | SERIES


def main() -> None:
    """Measure the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=["contaminated", "one-class", "labelled", *ROWS])
    parser.add_argument("--tables", default="")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    tables = [name for name in asked.tables.split(",") if name]
    for row in asked.rows:
        keep("anomaly", row, ROWS[row]() if row in ROWS else adbench(row, tables, asked.seeds))


if __name__ == "__main__":
    main()
