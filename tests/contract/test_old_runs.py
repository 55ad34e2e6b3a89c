"""Run folders and prediction manifests of earlier versions keep opening."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines import evaluate, predict
from horngate.pipelines.system.files import read_table

KEPT = sorted((Path(__file__).parents[1] / "data").glob("run-format-*"))


@pytest.fixture(params=KEPT, ids=[path.name for path in KEPT])
def kept(request, tmp_path, monkeypatch):
    """A copy of a kept run, with pictures and a finished prediction beside it; the working folder is there."""
    shutil.copytree(request.param, tmp_path / "kept")
    monkeypatch.chdir(tmp_path / "kept")
    return tmp_path / "kept"


def test_there_is_a_kept_run_of_the_current_format():
    from horngate.pipelines.runs.run import FORMAT

    assert f"run-format-{FORMAT}" in [path.name for path in KEPT]


def test_an_old_run_answers_as_it_did(kept):
    before = read_table(kept / "run" / "evaluation" / "test" / "answers.parquet")
    report = json.loads((kept / "run" / "evaluation" / "test" / "report.json").read_text())
    again = evaluate(kept / "run")
    after = read_table(kept / "run" / "evaluation" / "test" / "answers.parquet")
    assert after["id"].equals(before["id"]) and after["label"].equals(before["label"])
    assert np.abs(np.array(after["scores"].to_pylist()) - np.array(before["scores"].to_pylist())).max() < 1e-4
    assert again.metrics["accuracy"].value == report["metrics"]["accuracy"]["value"]


def test_an_old_prediction_counts_as_complete(kept):
    stamp = (kept / "answers.parquet").stat().st_mtime_ns
    done = predict(kept / "run", ["pictures"], "answers.parquet")
    assert (done.rows, done.errors) == (7, 1) and (kept / "answers.parquet").stat().st_mtime_ns == stamp
