"""Bundles: what is exported answers as its run did, or isn't exported."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from horngate.pipelines import export, predict, verify
from horngate.pipelines.runs.bundle import Bundle
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import conversion
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.vision import Classify

pytestmark = pytest.mark.usefixtures("undrawn")

FORMATS = ("litert", "onnx", "saved_model")
ALONE = """
import runpy, sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is not for bundles")
sys.meta_path.insert(0, Forbidden())
sys.argv = {argv!r}
{run}
"""


@pytest.fixture(scope="module")
def run(tiny_runs) -> Run:
    return tiny_runs("vision", "classify")


@pytest.fixture(scope="module")
def bundles(run, tmp_path_factory):
    """A function that exports the run in a format, once."""
    made = {}

    def bundle(kind: str) -> Bundle:
        if kind not in made:
            made[kind] = export(run, kind, tmp_path_factory.mktemp("bundles") / kind)
        return made[kind]

    return bundle


@pytest.mark.parametrize("kind", FORMATS)
def test_a_bundle_holds_what_its_user_needs_and_proves_itself(bundles, kind, cli):
    bundle = bundles(kind)
    names = {path.name for path in bundle.folder.iterdir()}
    model = {"litert": "model.tflite", "onnx": "model.onnx", "saved_model": "model"}[kind]
    assert {model, "labels.json", "schema.json", "golden.npz", "MODEL_CARD.md", "SHA256SUMS", "example.py"} <= names
    schema = read_json(bundle / "schema.json")
    assert (
        schema["inputs"][0]["dtype"] == "uint8"
        and schema["outputs"][0]["low"] == 0
        and schema["inputs"][0]["high"] == 255
    )
    assert "horngate-" not in (bundle / "recipe.yaml").read_text()
    code, out, err = cli("verify", bundle.folder, "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == 32 and max(json.loads(out)["differences"].values()) <= 1e-4


@pytest.mark.parametrize("kind", FORMATS)
def test_predictions_through_a_bundle_are_those_of_its_run(run, bundles, kind, tmp_path):
    of_run = read_table(predict(run, "sample:digits", tmp_path / "run.parquet").path)
    of_bundle = read_table(predict(bundles(kind), "sample:digits", tmp_path / "bundle.parquet").path)
    assert of_run["id"] == of_bundle["id"] and of_run.schema == of_bundle.schema
    ours, theirs = (np.stack(table["scores"].to_pylist()) for table in (of_run, of_bundle))
    assert np.abs(ours - theirs).max() <= 1e-4
    assert np.mean(np.array(of_run["label"]) == np.array(of_bundle["label"])) > 0.999


@pytest.mark.parametrize("kind", ["litert", "onnx"])
def test_a_bundle_needs_no_tensorflow(bundles, kind, photos, tmp_path):
    argv = ["horngate", "predict", str(bundles(kind).folder), str(photos / "red"), "-o", "-"]
    run = "from horngate.cli.main import main\nmain()"
    code = ALONE.format(names={"tensorflow", "keras", "keras_hub", "sklearn"}, argv=argv, run=run)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 12 and all(row["error"] is None and len(row["scores"]) == 10 for row in rows)


@pytest.mark.parametrize("kind", ["litert", "onnx"])
def test_the_example_runs_with_the_runtime_alone(bundles, kind, photos, tmp_path):
    bundle = bundles(kind)
    assert len((bundle / "example.py").read_text().splitlines()) <= 46
    argv = [str(bundle / "example.py"), str(photos / "red" / "000.png")]
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    code = ALONE.format(names={"tensorflow", "keras", "horngate"}, argv=argv, run=run)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, label, score = done.stdout.strip().split("\t")
    ours = predict(bundle, str(photos / "red" / "000.png"), tmp_path / "one.jsonl")
    wanted = json.loads(ours.path.read_text())
    assert label == wanted["label"] and float(score) == pytest.approx(wanted["score"], abs=1e-4)


def test_a_served_model_takes_encoded_pictures_and_gives_names(bundles, photos):
    import tensorflow as tf

    bundle = bundles("saved_model")
    assert (bundle / "model" / "1" / "saved_model.pb").is_file()
    serve = tf.saved_model.load(str(bundle.model)).signatures["serving_default"]
    files = [path.read_bytes() for path in sorted((photos / "red").iterdir())]
    answers = serve(inputs=tf.constant(files))
    labels = json.loads((bundle / "labels.json").read_text())["labels"]
    assert {label.decode() for label in answers["label"].numpy()} <= set(labels)
    assert np.allclose(answers["scores"].numpy().max(1), answers["score"].numpy())


@pytest.mark.parametrize("kind", ["litert", "onnx"])
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_smaller_numbers_make_smaller_files_within_their_tolerance(run, bundles, kind, precision, tmp_path):
    small = export(run, kind, tmp_path / "small", precision=precision)
    assert small.model.stat().st_size < bundles(kind).model.stat().st_size
    assert verify(small).agreeing >= 0.9


class Sabotaged:
    """A model that is called otherwise than it was saved."""

    def __init__(self, model, call):
        self.model, self.call = model, call

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, tensors, training=False):
        return self.call(self.model, tensors)


WRONG = "outputs differ by up to|rows get another label"  # the first fault that is found, whichever rows are near a tie


def unscaled(model, tensors):
    import keras

    encoder = model.get_layer("encoder")
    scaling = encoder.get_layer("scaling")
    kept, scaling.scale = scaling.scale, tuple(factor / 255 for factor in scaling.scale)
    try:
        return model(keras.ops.cast(tensors, "uint8"), training=False)
    finally:
        scaling.scale = kept


def in_training(model, tensors):
    features = model.get_layer("encoder")(tensors, training=True)
    return model.get_layer("scores")(model.get_layer("head")(features))


def test_a_model_that_was_converted_wrongly_is_not_handed_over(run, tmp_path, monkeypatch):
    convert = conversion.to_litert
    monkeypatch.setattr(conversion, "to_litert", lambda model, *rest: convert(Sabotaged(model, unscaled), *rest))
    with pytest.raises(UserError, match=WRONG):
        export(run, "litert", tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [unscaled, in_training])
def test_a_saved_model_that_was_converted_wrongly_is_not_handed_over(run, call, tmp_path, monkeypatch):
    def sabotaged(model, path, serving=None):
        import keras
        import tensorflow as tf

        archive = keras.export.ExportArchive()
        archive.track(model)
        signature = [tf.TensorSpec(model.inputs[0].shape, "uint8", name="inputs")]
        archive.add_endpoint("tensors", lambda inputs: {"outputs": call(model, inputs)}, signature)
        archive.add_endpoint("serving_default", serving, [tf.TensorSpec((None,), tf.string, name="inputs")])
        archive.write_out(str(path), verbose=False)

    monkeypatch.setattr(conversion, "to_saved_model", sabotaged)
    with pytest.raises(UserError, match=WRONG):
        export(run, "saved_model", tmp_path / "bundle")


@pytest.mark.parametrize("kind", FORMATS)
def test_swapped_labels_are_not_handed_over(run, kind, tmp_path, monkeypatch):
    def swapped(source, target):
        labels = json.loads(source.read_text())
        labels["labels"] = labels["labels"][1:] + labels["labels"][:1]  # all of them, whichever the golden rows show
        target.write_text(json.dumps(labels))

    monkeypatch.setattr(shutil, "copyfile", swapped)
    with pytest.raises(UserError, match="get another label, such as"):
        export(run, kind, tmp_path / "bundle")


def test_swapped_names_inside_a_served_model_are_not_handed_over(run, tmp_path, monkeypatch):
    from dataclasses import replace

    from horngate.pipelines.images import serving

    right = serving.labelled

    def swapped(labels, scores):
        return right(replace(labels, labels=labels.labels[1:] + labels.labels[:1]), scores)

    monkeypatch.setattr(serving, "labelled", swapped)
    with pytest.raises(UserError, match="get another label, such as"):
        export(run, "saved_model", tmp_path / "bundle")


def test_a_bundle_that_was_changed_is_found_out(bundles, tmp_path, cli):
    folder = shutil.copytree(bundles("litert").folder, tmp_path / "bundle")
    (folder / "labels.json").write_text((folder / "labels.json").read_text().replace('"3"', '"three"'))
    code, _, err = cli("verify", folder)
    assert code == 1 and "labels.json was changed" in err and len(err.strip().splitlines()) == 1
    Bundle(folder).seal()
    code, _, err = cli("verify", folder)
    assert code == 1 and "labels.json is not that of the run" in err  # though no golden row is a three
    (folder / "model.tflite").unlink()
    assert "model.tflite is missing" in cli("verify", folder)[2]
    (folder / "bundle.json").write_text('{"format": 99}')
    assert "newer horngate" in cli("predict", folder, "x.png", "-o", "-")[2]


def test_a_damaged_model_file_is_one_line(bundles, tmp_path):
    for kind, name in (("litert", "model.tflite"), ("onnx", "model.onnx")):
        folder = shutil.copytree(bundles(kind).folder, tmp_path / kind)
        (folder / name).write_bytes(b"nothing of the kind")
        Bundle(folder).seal()
        with pytest.raises(UserError, match="rejected by its runtime"):
            verify(folder)


def test_two_classes_are_decided_by_their_threshold_in_every_form(tmp_path):
    from conftest import fill_class_folders

    from horngate.pipelines import train

    photos = fill_class_folders(tmp_path / "two", each=40, names=("green", "red"))
    knobs = {"image_size": 16, "epochs": 1, "specificity": 0.95, "conformal": 0.8, "validation": 0.3}
    run = train(Classify(data=str(photos), output=str(tmp_path / "runs"), **knobs))
    for kind in ("saved_model", "litert"):
        bundle = export(run, kind, tmp_path / kind)
        assert verify(bundle).agreeing == 1.0
    ours = read_table(predict(run, str(photos), tmp_path / "ours.parquet").path)
    theirs = read_table(predict(bundle, str(photos), tmp_path / "theirs.parquet").path)
    assert ours["label"] == theirs["label"] and ours["set"] == theirs["set"]


def test_several_labels_are_joined_in_every_form(tmp_path, photos):
    from horngate.pipelines import train

    lines = [f"{name}/{number:03d}.png,{name}|warm" for name in ("red", "green") for number in range(12)]
    (photos / "t.csv").write_text("\n".join(["input,target", *lines]) + "\n")
    card = Classify(data=str(photos / "t.csv"), label_separator="|", image_size=16, epochs=1, output=str(tmp_path))
    run = train(card)
    assert verify(export(run, "saved_model", tmp_path / "bundle")).differences["serving_default scores"] <= 1e-4


def test_what_cannot_be_exported_is_one_line(run, tmp_path, cli, monkeypatch):
    (tmp_path / "there").mkdir()
    for words, said in (
        (("--format", "litert", "-o", tmp_path / "there"), "exists"),
        (("--format", "saved_model", "--precision", "int8", "-o", tmp_path / "b"), "--format litert or onnx"),
    ):
        code, _, err = cli("export", run.folder, *words)
        assert code == 1 and said in err and len(err.strip().splitlines()) == 1
    monkeypatch.setattr("horngate.pipelines.verbs.export.find_spec", lambda name: None)
    code, _, err = cli("export", run.folder, "--format", "onnx", "-o", tmp_path / "b")
    assert code == 1 and "horngate[onnx]" in err
    monkeypatch.undo()
    monkeypatch.setattr(
        "horngate.pipelines.images.exporter.PictureExporter.unexportable", "this task can't be exported"
    )
    assert "this task can't be exported" in cli("export", run.folder, "--format", "onnx", "-o", tmp_path / "b")[2]


def test_rows_to_prove_it_on_may_come_from_elsewhere(tmp_path, photos):
    from horngate.pipelines import train

    run = train(Classify(data=str(photos), image_size=16, epochs=1, output=str(tmp_path / "runs")))
    moved = photos.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="give --data"):
        export(run, "litert", tmp_path / "bundle")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="none can be read; give --data"):
        export(run, "litert", tmp_path / "bundle", data=str(tmp_path / "empty"))
    assert verify(export(run, "litert", tmp_path / "bundle", data=str(moved))).rows == 32


def test_an_exporter_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    def failing(model, path, *rest):
        path.write_bytes(b"half")
        raise ValueError("no such operation")

    monkeypatch.setattr(conversion, "to_onnx", failing)
    with pytest.raises(UserError, match="in float32; try saved_model or litert: no such operation"):
        export(run, "onnx", tmp_path / "bundle")
    assert not list(tmp_path.iterdir())
