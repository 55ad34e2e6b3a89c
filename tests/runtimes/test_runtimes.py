"""What computes a forward pass: LiteRT only where it is faster and answers the same."""

import shutil

import numpy as np
import pytest
from conftest import few_flowers

from horngate.pipelines import evaluate, predict, train
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import conversion, race
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table, write_json
from horngate.pipelines.vision import Classify

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def run(tiny_runs, tmp_path) -> Run:
    """A run of its own, so that verdicts don't meet."""
    return Run.open(shutil.copytree(tiny_runs("vision", "classify").folder, tmp_path / "run"))


def scores_of(run, target, **options):
    return np.stack(read_table(predict(run, "sample:digits", target, **options).path)["scores"].to_pylist())


def test_few_rows_are_not_worth_a_race(run, tmp_path):
    predict(run, "sample:digits", tmp_path / "out.parquet")
    assert not (run / "runtime.json").exists()
    assert "runtime" not in read_json(tmp_path / "out.parquet.manifest.json")["options"]


def test_many_rows_race_and_the_verdict_is_obeyed(run, tmp_path, monkeypatch):
    plain = scores_of(run, tmp_path / "tensorflow.parquet", runtime="tensorflow")
    assert not (run / "runtime.json").exists()
    monkeypatch.setattr(race, "WORTH", 0.0)
    monkeypatch.setattr(race, "FASTER", 0.0)
    fast = scores_of(run, tmp_path / "fast.parquet")
    verdict = read_json(run / "runtime.json")["answers"]
    assert verdict["name"] == "litert" and verdict["speedup"] > 0 and verdict["max_abs_difference"] <= 1e-4
    assert np.abs(plain - fast).max() <= 1e-4
    assert read_json(tmp_path / "fast.parquet.manifest.json")["options"]["runtime"] == "litert"
    monkeypatch.undo()
    again = scores_of(run, tmp_path / "again.parquet")
    assert np.array_equal(again, fast)
    report = evaluate(run, output=tmp_path / "evaluation")
    assert report.protocol["runtime"] == verdict


def test_a_slower_runtime_loses_for_good(run, tmp_path, monkeypatch):
    monkeypatch.setattr(race, "WORTH", 0.0)
    monkeypatch.setattr(race, "FASTER", 1e9)
    predict(run, "sample:digits", tmp_path / "out.parquet")
    assert read_json(run / "runtime.json")["answers"]["why"] == "LiteRT was not faster"
    monkeypatch.setattr(race, "FASTER", 0.0)
    predict(run, "sample:digits", tmp_path / "more.parquet")
    assert "runtime" not in read_json(tmp_path / "more.parquet.manifest.json")["options"]


def test_other_answers_or_no_conversion_are_one_notice_and_tensorflow_goes_on(run, tmp_path, monkeypatch, heard):
    monkeypatch.setattr(race, "WORTH", 0.0)
    convert = conversion.to_litert

    def untrue(model, path):
        scores = model.get_layer("scores")
        scores.temperature.assign(scores.temperature * 0.7)
        convert(model, path)
        scores.temperature.assign(scores.temperature / 0.7)

    def failing(model, path):
        raise RuntimeError("no such\noperation")

    plain = scores_of(run, tmp_path / "plain.parquet", runtime="tensorflow")
    for number, (wrong, said) in enumerate(((untrue, "answers differ by"), (failing, "can't compute this model"))):
        monkeypatch.setattr(conversion, "to_litert", wrong)
        monkeypatch.setattr(conversion, "content_of", lambda model, number=number: f"wrong{number}")
        (run / "runtime.json").unlink(missing_ok=True)
        heard.notices.clear()
        assert np.array_equal(scores_of(run, tmp_path / f"{number}.parquet"), plain)
        assert len(heard.notices) == 1 and said in heard.notices[0] and "\n" not in heard.notices[0]
        with pytest.raises(UserError, match="--runtime litert"):
            predict(run, "sample:digits", tmp_path / "asked.parquet", runtime="litert")


def test_parts_of_two_runtimes_are_not_mixed(run, tmp_path):
    target = tmp_path / "out.parquet"
    predict(run, "sample:digits", target, runtime="tensorflow")
    with pytest.raises(UserError, match="--overwrite"):
        predict(run, "sample:digits", target, runtime="litert")


def test_one_commands_wish_is_no_verdict(run, tmp_path):
    predict(run, "sample:digits", tmp_path / "out.parquet", runtime="litert")
    assert not (run / "runtime.json").exists()


def test_a_missing_package_names_its_extra(run, tmp_path, monkeypatch, heard):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"horngate\[litert\]"):
        predict(run, "sample:digits", tmp_path / "out.parquet", runtime="litert")
    write_json(run / "runtime.json", {"answers": {"name": "litert", "speedup": 3.0}})
    predict(run, "sample:digits", tmp_path / "out.parquet")
    assert any("horngate[litert]" in line for line in heard.notices)


def test_cached_features_through_litert_are_those_of_keras(tmp_path, monkeypatch, realdata):
    data = few_flowers(realdata, tmp_path / "flowers", each=8)
    weights = realdata / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5"
    knobs = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 128, "weights": str(weights), "method": "probe"}
    heads = {}
    for runtime in ("tensorflow", "litert"):
        run = train(Classify(data=str(data), output=str(tmp_path / runtime), runtime=runtime, **knobs))
        table = read_table(run / "evaluation" / "test" / "answers.parquet")
        heads[runtime] = np.stack(table["scores"].to_pylist())
    apart = np.abs(heads["tensorflow"] - heads["litert"]).max()
    assert 0 < apart < 0.02  # other last bits of the features: LiteRT did compute them


def test_a_run_in_a_read_only_folder_still_answers(run, tmp_path, monkeypatch, heard):
    monkeypatch.setattr(race, "WORTH", 0.0)
    monkeypatch.setattr(race, "FASTER", 0.0)

    def refuse(path, value):
        raise UserError(f"can't write {path}")

    monkeypatch.setattr(race, "write_json", refuse)
    predict(run, "sample:digits", tmp_path / "out.parquet")
    assert any("isn't kept" in line for line in heard.details) and not (run / "runtime.json").exists()


def test_all_cores_give_the_rows_in_order(tmp_path):
    import keras

    from horngate.pipelines.runtimes.litert import LiteRT

    inputs = keras.Input((3,), dtype="float32")
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(inputs))
    conversion.to_litert(model, tmp_path / "model.tflite")
    rows = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    for cores in (1, 3):
        said = LiteRT(tmp_path / "model.tflite", cores).run(rows)
        assert np.allclose(said, rows @ model.get_weights()[0], atol=1e-6)
