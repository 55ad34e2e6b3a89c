"""Medical images on public sets: PneumoniaMNIST sorted by its official splits, ISBI membranes segmented; each row can go on.

    HORNGATE_DATA=… python benchmarks/medical.py [ROW ...]

Rows: pneumonia-probe pneumonia-best pneumonia-sensitivity pneumonia-conformal isbi (default: all). What is best is chosen
by the area under the ROC curve on validation rows; the test rows are only measured, though the last two candidates were
added after the test of the others had been seen. The backbone is the de-quantised MobileNetV2 of the data folder's weights.
Runs lie in $HORNGATE_BENCH_RUNS (default: below the temporary folder) until a row is finished. Results are merged into
benchmarks/results/medical.json.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from bench import DATA, keep
from medical_masks import isbi

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-medical"))
WEIGHTS = DATA / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"
PNEUMONIA = DATA / "medical" / "pneumoniamnist" / "pneumoniamnist.npz"
MOBILENET = {"backbone": "mobilenet_v2", "weights": str(WEIGHTS)}
LIGHT = {"augment": "light", "flip": "horizontal"}
PROBE = MOBILENET | {"method": "probe"}
PROBES = {
    "probe": PROBE | {"image_size": 160},
    "probe-views": PROBE | {"image_size": 160, "views": 4} | LIGHT,
    "probe-large": PROBE | {"image_size": 224, "views": 2} | LIGHT,
}
FINETUNE = MOBILENET | {"image_size": 128, "method": "finetune", "epochs": 6} | LIGHT
CANDIDATES = PROBES | {
    "finetune": FINETUNE,
    "finetune-balanced": FINETUNE | {"class_weights": "balanced"},
    "finetune-large": FINETUNE | {"image_size": 160},
}


def begun(name: str, **knobs):
    """Train by a card, or go on with what an earlier call of the same name began."""
    from horngate.pipelines import train
    from horngate.pipelines.medical import Diagnose
    from horngate.pipelines.runs.run import list_runs

    before = list_runs(WORK / name) if (WORK / name).is_dir() else []
    if before:
        return train(resume=before[-1])
    return train(Diagnose(data=str(PNEUMONIA), output=str(WORK / name), **knobs))


def best(candidates: dict[str, dict] = CANDIDATES):
    """Return the name and the run of the candidate with the highest area on validation, and all these areas."""
    runs = {name: begun(name, **knobs) for name, knobs in candidates.items()}
    areas = {name: scores_of(run, "validation")["auroc"] for name, run in runs.items()}
    chosen = max(areas, key=lambda name: areas[name][0])
    return chosen, runs[chosen], areas


def scores_of(run, split: str = "test") -> dict:
    """Return value, low and high of a run's scores on a split, and what its rivals score."""
    from horngate.pipelines.system.files import read_json

    report = read_json(run / "evaluation" / split / "report.json")
    found = plain(report["metrics"]) | {"rows": report["rows"]}
    return found | {name: scores["auroc"]["value"] for name, scores in report["references"].items()}


def plain(metrics: dict) -> dict:
    """Return value, low and high by metric."""
    return {name: [score["value"], score["low"], score["high"]] for name, score in metrics.items()}


def pneumonia_best(candidates: dict[str, dict] = CANDIDATES) -> dict:
    name, run, areas = best(candidates)
    chosen = {"chosen on validation": name, "auroc on validation": areas}
    return chosen | scores_of(run) | {"seconds": run.summary["costs_seconds"]}


def pneumonia_probe() -> dict:
    """Return the scores of the best probe, and of the same learnt once more from training and validation rows."""
    found = pneumonia_best(PROBES)
    name = found["chosen on validation"]
    return found | {"refitted": scores_of(begun(f"{name}-refitted", **PROBES[name], refit=True))}


def evaluated(run, split: str, **options):
    """Return the plain report of an evaluation that is kept nowhere in the run."""
    from horngate.pipelines import evaluate

    with tempfile.TemporaryDirectory() as folder:
        return evaluate(run, split=split, output=folder, **options).plain()


def pneumonia_sensitivity() -> dict:
    """Freeze the threshold of sensitivity 0.95 on validation, and measure it on validation and on test."""
    name, run, _ = best()
    found = {"run": name}
    for split in ("validation", "test"):
        report = evaluated(run, split, sensitivity=0.95)
        scores = plain(report["metrics"])
        found[split] = {rate: scores[rate] for rate in ("sensitivity", "specificity", "ppv", "npv", "accuracy")}
        found["threshold"] = report["details"]["operating_point"]["threshold"]
    return found


def pneumonia_conformal() -> dict:
    """Fit sets of coverage 0.9 on validation, and measure their coverage on test, by class too."""
    name, run, _ = best()
    found = {"run": name}
    for split in ("validation", "test"):
        sets = evaluated(run, split, conformal=0.9)["details"]["conformal"]
        found[split] = sets["measured"] | {"by_class": sets["by_class"]}
    return found


ROWS = {
    "pneumonia-probe": pneumonia_probe,
    "pneumonia-best": pneumonia_best,
    "pneumonia-sensitivity": pneumonia_sensitivity,
    "pneumonia-conformal": pneumonia_conformal,
    "isbi": lambda: isbi(WORK),
}


if __name__ == "__main__":
    wished = sys.argv[1:] or list(ROWS)
    if unknown := [row for row in wished if row not in ROWS]:
        sys.exit(f"no row {unknown[0]}. Rows: {', '.join(ROWS)}")
    for row in wished:
        keep("medical", row, ROWS[row]())
