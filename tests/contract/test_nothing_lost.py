"""Kills, bad files, two at once, full disks and hostile files: nothing is lost, and nothing gets out."""

import csv
import json
import os
import shutil
import signal
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import fill_class_folders, picture
from PIL import Image

from horngate.pipelines import check, evaluate, predict, train
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import harmless, only_writer
from horngate.pipelines.verbs import parts
from horngate.pipelines.vision import Classify

pytestmark = pytest.mark.usefixtures("undrawn")


def encoded(image, kind="PNG", **options) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# Bad input


def write_twenty_bad(folder: Path) -> dict[str, str]:
    """Write twenty files that can't be used; return the reason that each should get."""
    good = encoded(picture((200, 60, 60), (64, 64)))
    photo = encoded(picture((200, 60, 60), (300, 300)), "JPEG")
    made = {
        "zero.png": (b"", "empty"),
        "cut.png": (good[: len(good) // 2], "damaged or truncated"),
        "cut.jpg": (photo[:4000], "damaged or truncated"),
        "text.jpg": (b"just words", "no picture"),
        "page.png": (b"<!doctype html><html>404</html>", "no picture"),
        "bomb.png": (encoded(Image.new("1", (30_000, 30_000))), "too many pixels"),
        "bomb.gif": (encoded(Image.new("L", (15_000, 15_000)), "GIF"), "too many pixels"),
        "dot.png": (encoded(Image.new("RGB", (1, 1))), "too small"),
        "thin.png": (encoded(Image.new("RGB", (300, 3))), "too small"),
        "float.tif": (encoded(Image.fromarray(np.ones((20, 20), np.float32)), "TIFF"), "floating-point"),
        "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n(boom) run\n", "no picture"),
        "archive.png": (b"PK\x03\x04" + bytes(100), "no picture"),
        "head.png": (good[:33], "no picture"),
        "flipped.png": (good[:60] + bytes(20) + good[80:], "damaged or truncated"),
        "pickle.jpg": (b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.", "no picture"),
        "nul.gif": (bytes(500), "no picture"),
        "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
    }
    for name, (data, _) in made.items():
        (folder / name).write_bytes(data)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "fifty.jpg").write_bytes(photo[: len(photo) // 3])
    return {name: reason for name, (_, reason) in made.items()} | {
        "gone.png": "broken link",
        "self.png": "leads back to itself",
        "fifty.jpg": "damaged or truncated",
    }


def test_three_hundred_good_and_twenty_bad_files(tmp_path):
    root = fill_class_folders(tmp_path / "p", each=100)
    wanted = write_twenty_bad(root / "red")
    seen = check(Classify(data=str(root), max_quarantine=0.1))
    assert (seen["listed"], seen["usable"], len(seen["quarantined"])) == (320, 300, 20)
    run = train(Classify(data=str(root), max_quarantine=0.1, image_size=16, epochs=1, output=str(tmp_path / "runs")))
    lines = (run / "quarantine.csv").read_text().splitlines()[1:]
    assert len(lines) == 20 and run.splits.num_rows == 300
    done = predict(run, [str(root)], tmp_path / "out.parquet")
    rows = pq.read_table(done.path).to_pylist()
    assert (done.rows, done.errors, len(rows)) == (320, 20, 320)
    errors = {Path(row["id"]).name: row["error"] for row in rows if row["error"]}
    reasons = {Path(row["id"]).name: row["reason"] for row in seen["quarantined"]}
    for name, reason in wanted.items():
        assert reason in errors[name] and reason in reasons[name], name
    assert all((row["label"] is None) == (row["error"] is not None) for row in rows)


def test_odd_files_that_hold_a_picture_are_converted_and_counted(tmp_path):
    root = fill_class_folders(tmp_path / "p", each=12)
    red = picture((200, 60, 60), (40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    odd = {
        "grey.png": encoded(red.convert("L")),
        "clear.png": encoded(red.convert("RGBA")),
        "cmyk.jpg": encoded(red.convert("CMYK"), "JPEG"),
        "deep.png": encoded(Image.fromarray(np.full((20, 20), 51400, np.uint16))),
        "palette.gif": encoded(red.convert("P"), "GIF"),
        "moving.gif": encoded(red, "GIF", save_all=True, append_images=[red.rotate(90)]),
        "turned.jpg": encoded(red, "JPEG", exif=exif),
        "really-a-png.jpg": encoded(red.rotate(180)),
    }
    for name, data in odd.items():
        (root / "red" / name).write_bytes(data)
    (finding,) = [found for found in check(Classify(data=str(root)))["findings"] if found["code"] == "converted"]
    assert finding["rows"] == len(odd)
    for word in ("grey", "alpha", "CMYK", "16 bit", "palette", "animation", "EXIF rotation", "a suffix that disagrees"):
        assert word in finding["message"]


STRANGE = ("new\nline.png", "quo\"te's.png", "=1+1.png", "ü" * 100 + ".png", "🌷 rosé.png", "<b>bold<.png")
STRANGE += ("[red]x[bold].png",)
HOSTILE = ("=cmd()", "@sum", "<script>alert(1)<")


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    """A folder of classes with hostile names, some files with strange ones, and a run on it."""
    root = fill_class_folders(tmp_path_factory.mktemp("odd") / "p")
    for number, name in enumerate(STRANGE):
        picture((200, 60, 60), seed=900 + number).save(root / "red" / name)
    (root / "red" / "000.png").rename(root / "red" / os.fsdecode(b"\xff.png"))
    for old, new in zip(("red", "green", "blue"), HOSTILE, strict=True):
        (root / old).rename(root / new)
    return root, train(Classify(data=str(root), image_size=16, epochs=1, output=str(root.parent / "runs")))


def test_strange_names_come_through_every_verb(oddly_named, tmp_path):
    root, run = oddly_named
    done = predict(run, [str(root / HOSTILE[0])], tmp_path / "out.csv")
    assert (done.rows, done.errors) == (12 + len(STRANGE), 0)
    ids = {Path(name).name for name in run.splits["id"].to_pylist()}
    assert {*STRANGE, "%FF.png"} <= ids
    assert evaluate(run).rows > 0


def test_a_file_without_permission_is_a_reason(tmp_path, monkeypatch):
    from horngate.pipelines.data import reading
    from horngate.pipelines.spec.errors import Unreadable

    def refused(*words):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(Unreadable, match="no permission"):
        reading.content(b"some.png", None)


# Kills


def wait_for(path_found, process, seconds=120):
    """Wait until `path_found()` says so while the process lives."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if path_found():
            return True
        time.sleep(0.02)
    return path_found()


def final_weights(folder: Path) -> dict:
    with np.load(folder / "checkpoints" / "scratch.npz") as stored:
        return {name: stored[name] for name in stored.files if name.startswith("model")}


LONG = ("vision", "classify", "train", "--data", "p", "--image-size", 16, "--epochs", 14, "--batch-size", 8)
LONG += ("--augment", "light")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, forks):
    """A folder with pictures `p` and the run of a training that nothing disturbed."""
    place = tmp_path_factory.mktemp("undisturbed")
    fill_class_folders(place / "p", each=60)
    whole_run = forks.run(*LONG, "-o", "whole", cwd=place)
    assert whole_run.returncode == 0, whole_run.stderr
    (whole_folder,) = (place / "whole").iterdir()
    return place, whole_folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_resumes_to_the_same_weights(undisturbed, number, forks):
    place, whole_folder = undisturbed
    runs = place / f"cut{number}"
    cut = forks.start(*LONG, "-o", runs, cwd=place)
    learning = wait_for(lambda: any(runs.glob("*/history.csv")), cut)
    time.sleep(0.5)
    cut.send_signal(number)
    code = cut.wait(60)
    (folder,) = runs.iterdir()
    assert learning and code == (-9 if number == signal.SIGKILL else 128 + number)
    assert not (folder / "run.json").exists()
    if number != signal.SIGKILL:
        assert (folder / "checkpoints" / "scratch.npz").exists() and "--resume" in cut.stderr
    resumed = forks.run("vision", "classify", "train", "--resume", folder, cwd=place)  # where the recipe's paths begin
    assert (resumed.returncode, resumed.stdout) == (0, f"{folder}\n"), resumed.stderr
    one, other = final_weights(whole_folder), final_weights(folder)
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    assert (folder / "history.csv").read_text() == (whole_folder / "history.csv").read_text()


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_recipe(tmp_path, cli):
    from horngate.pipelines.runs.run import Run

    root = fill_class_folders(tmp_path / "p")
    run = Run.create(Classify(data=str(root), image_size=16, epochs=1, output=str(tmp_path / "runs")))
    assert cli("vision", "classify", "train", "--resume", run.folder)[:2] == (0, f"{run.folder}\n")
    assert run.finished


def test_a_damaged_checkpoint_stops_a_resume_in_one_line(tmp_path, cli, tiny_runs):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    (run / "run.json").unlink()
    path = run / "checkpoints" / "scratch.npz"
    path.write_bytes(path.read_bytes()[:-2000])
    code, out, err = cli("-q", "vision", "classify", "train", "--resume", run)
    assert (code, out) == (1, "") and "scratch.npz is damaged" in err and len(err.strip().splitlines()) == 1


def test_data_that_changed_since_is_not_resumed(tmp_path):
    from horngate.pipelines.runs.run import Run

    root = fill_class_folders(tmp_path / "p")
    run = train(Classify(data=str(root), image_size=16, epochs=1, output=str(tmp_path / "runs")))
    (run / "run.json").unlink()
    (root / "red" / "000.png").unlink()
    before = (run / "splits.parquet").read_bytes()
    with pytest.raises(UserError, match=r"the data changed since.*--splits"):
        train(resume=run)
    assert (run / "splits.parquet").read_bytes() == before
    again = train(
        Classify(data=str(root), image_size=16, epochs=1, output=str(tmp_path / "runs"), splits=str(run.folder))
    )
    old = dict(zip(run.splits["id"].to_pylist(), run.splits["split"].to_pylist(), strict=True))
    new = dict(zip(again.splits["id"].to_pylist(), again.splits["split"].to_pylist(), strict=True))
    assert all(old[name] == split for name, split in new.items())
    assert "35 of 35 rows keep the split" in " ".join(Run(again).summary["protocol"]["split"])


class Cut(Exception):
    """Stands for a kill."""


def test_a_cut_prediction_goes_on_and_repeats_only_the_part_in_flight(tmp_path, tiny_runs, monkeypatch):
    run = tiny_runs("vision", "classify")
    root = fill_class_folders(tmp_path / "p", each=30)
    (root / "red" / "bad.png").write_text("x")
    monkeypatch.setattr("horngate.pipelines.verbs.predict.PART", 16)
    predict(run, [str(root)], tmp_path / "whole.parquet")
    written, write = [], parts.Parts.write

    def counted(self, table, errors):
        if len(written) % 3 == 2 and written[-1] != "cut":
            written.append("cut")
            raise Cut
        written.append(table["id"][0].as_py())
        write(self, table, errors)

    monkeypatch.setattr(parts.Parts, "write", counted)
    for _ in range(20):
        try:
            done = predict(run, [str(root)], tmp_path / "cut.parquet")
            break
        except Cut:
            assert not (tmp_path / "cut.parquet").exists()
    computed = [name for name in written if name != "cut"]
    assert len(computed) == len(set(computed)) == 6
    assert (done.rows, done.errors) == (91, 1)
    assert (tmp_path / "cut.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "cut.parquet.parts").exists()


def test_parts_share_row_groups_of_the_output(tmp_path, tiny_runs, monkeypatch):
    run = tiny_runs("vision", "classify")
    root = fill_class_folders(tmp_path / "p", each=20)
    monkeypatch.setattr("horngate.pipelines.verbs.predict.PART", 16)
    predict(run, [str(root)], tmp_path / "one.parquet")
    monkeypatch.setattr("horngate.pipelines.verbs.parts.GROUP", 1)
    predict(run, [str(root)], tmp_path / "many.parquet")
    one, many = (pq.ParquetFile(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    assert (one.num_row_groups, many.num_row_groups) == (1, 4)
    assert one.read().equals(many.read())


def test_another_model_option_or_listing_refuses_to_mix(tmp_path, tiny_runs, monkeypatch):
    run = tiny_runs("vision", "classify")
    root = fill_class_folders(tmp_path / "p", each=20)
    monkeypatch.setattr("horngate.pipelines.verbs.predict.PART", 16)
    out = tmp_path / "out.parquet"
    predict(run, [str(root)], out)
    before = out.read_bytes()
    (root / "red" / "zzz.png").write_bytes((root / "red" / "000.png").read_bytes())
    with pytest.raises(UserError, match="another model, option or listing"):
        predict(run, [str(root)], out)
    assert out.read_bytes() == before
    monkeypatch.setattr(parts.Parts, "join", lambda self: (_ for _ in ()).throw(Cut))
    with pytest.raises(Cut):
        predict(run, [str(root)], tmp_path / "two.parquet")
    (root / "blue" / "aaa.png").write_bytes((root / "red" / "000.png").read_bytes())
    with pytest.raises(UserError, match="holds parts from another"):
        predict(run, [str(root)], tmp_path / "two.parquet")
    monkeypatch.undo()
    assert predict(run, [str(root)], tmp_path / "two.parquet", overwrite=True).rows == 62
    foreign = tmp_path / "mine.csv"
    foreign.write_text("precious")
    with pytest.raises(UserError, match="no finished prediction"):
        predict(run, [str(root)], foreign)
    assert foreign.read_text() == "precious"


# Two at once, full disks, read-only folders


def test_a_second_writer_gets_one_line(tmp_path, cli, tiny_runs):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    (run / "run.json").unlink()
    with only_writer(run, "training in"):
        code, _, err = cli("vision", "classify", "train", "--resume", run)
    assert code == 1 and "another process is training in" in err
    finished = tiny_runs("vision", "classify")
    with (
        only_writer(tmp_path / "o.parquet.parts", "writing"),
        pytest.raises(UserError, match="another process is writing"),
    ):
        predict(finished, ["sample:digits"], tmp_path / "o.parquet")


def test_a_full_disk_leaves_what_was_there(tmp_path, forks):
    (tmp_path / "report.json").write_text("before")
    code = "from pathlib import Path; from horngate.pipelines.system.files import write_text; "
    done = forks.run(code=code + "write_text(Path('report.json'), 'x' * 50_000)", cwd=tmp_path, file_size=5000)
    assert "can't write report.json: File too large; what was there is unchanged" in done.stderr
    assert (tmp_path / "report.json").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_at_a_checkpoint_leaves_a_run_that_resumes(tmp_path, forks, cli):
    fill_class_folders(tmp_path / "p")
    words = ("-q", "vision", "classify", "train", "--data", "p", "--image-size", 16, "--epochs", 2)
    done = forks.run(*words, cwd=tmp_path, file_size=60_000)
    assert done.returncode == 1 and "can't write the checkpoint" in done.stderr and "intact" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    (folder,) = (tmp_path / "runs").iterdir()
    assert cli("vision", "classify", "train", "--resume", folder)[:2] == (0, f"{folder}\n")


def test_a_full_disk_at_the_cache_or_a_part_is_one_line(tmp_path, forks, tiny_runs):
    code = "from horngate.pipelines.system.cache import cached_array; "
    code += "cached_array('k', (10_000, 10), lambda out: out.fill(1))"
    done = forks.run(code=code, cwd=tmp_path, file_size=5000, HORNGATE_CACHE=str(tmp_path / "cache"))
    assert "set HORNGATE_CACHE to another folder" in done.stderr
    assert not list((tmp_path / "cache").glob("*.npy")) and not list((tmp_path / "cache").glob(".*.part"))
    run = tiny_runs("vision", "classify")
    words = ("predict", run.folder, "sample:digits", "-o", tmp_path / "o.parquet")
    done = forks.run("-q", *words, cwd=tmp_path, file_size=5000)
    assert done.returncode == 1 and "can't write" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert predict(run, ["sample:digits"], tmp_path / "o.parquet").rows == 1797


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, cli, tiny_runs):
    (tmp_path / "file").write_text("x")
    code, _, err = cli("vision", "classify", "train", "--recipe", "tiny", "-o", tmp_path / "file" / "runs")
    assert code == 1 and "can't make a run in" in err
    code, _, err = cli(
        "predict", tiny_runs("vision", "classify").folder, "sample:digits", "-o", tmp_path / "file" / "o.csv"
    )
    assert code == 1 and "can't write in" in err


# Hostile files


def test_names_that_are_formulas_paths_or_html_are_harmless(oddly_named, tmp_path, cli):
    root, run = oddly_named
    predict(run, [str(root)], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert len(labels) == 36 + len(STRANGE) and not any(label.startswith(("=", "@", "+", "-")) for label in labels)
    assert evaluate(run, by=("target",)).rows > 0 and cli("evaluate", run.folder)[0] == 0


@pytest.mark.parametrize(
    ("cell", "kept"),
    [("=1+1", "'=1+1"), ("-5.2", "-5.2"), ("-x", "'-x"), ("@a", "'@a"), ("\tx", "'\tx"), ("ok", "ok"), (3, 3)],
)
def test_a_cell_never_becomes_a_formula(cell, kept):
    assert harmless(cell) == kept


def test_a_run_whose_links_lead_out_writes_nothing_there(tmp_path, tiny_runs):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    shutil.rmtree(run / "evaluation")
    (tmp_path / "outside").mkdir()
    (run / "evaluation").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="leads out of the run"):
        evaluate(run)
    assert not list((tmp_path / "outside").iterdir())


def test_an_evaluation_name_stays_in_its_folder(tmp_path, tiny_runs):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    evaluate(run, data="sample:digits", name="../../escaped")
    assert not (tmp_path / "escaped").exists() and (run / "evaluation" / "_.._escaped").is_dir()


def test_a_cached_array_with_pickled_objects_is_not_loaded(tmp_path, monkeypatch):
    from horngate.pipelines.system import cache

    class Boom:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/boom",)

    monkeypatch.setenv("HORNGATE_CACHE", str(tmp_path))
    np.save(tmp_path / "k.npy", np.array([Boom()], dtype=object), allow_pickle=True)
    assert cache.cached_array("k", (1, 1), lambda out: out.fill(2))[0, 0] == 2
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    "damage",
    ["labels.json", "schema.json", "model.keras", "recipe.yaml", "run.json"],
)
def test_a_damaged_run_is_one_line_that_names_the_file(tmp_path, cli, tiny_runs, damage):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    (run / damage).write_bytes((run / damage).read_bytes()[:18])
    code, out, err = cli("-q", "predict", run, "sample:digits", "-o", "-")
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1 and damage in err


def test_labels_of_another_model_are_refused(tmp_path, tiny_runs):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs("vision", "classify").folder, run)
    labels = json.loads((run / "labels.json").read_text())
    labels["labels"] = labels["labels"][:-1]
    (run / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(UserError, match="another number of classes"):
        predict(run, ["sample:digits"], "-")


def test_a_preset_folder_with_foreign_classes_is_not_opened(tmp_path):
    from horngate.models.backbones.pictures import BackboneError, picture_encoder

    config = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BackboneError, match="wants code from os"):
        picture_encoder(str(tmp_path), "imagenet", None, None, 32)


def test_a_whole_model_is_no_weights_file(tmp_path):
    import keras

    from horngate.models.backbones.pictures import BackboneError, picture_encoder

    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / "m.h5")
    (tmp_path / "text.h5").write_text("x")
    with pytest.raises(BackboneError, match="whole model, not weights"):
        picture_encoder("mobilenet", str(tmp_path / "m.h5"), 32, 0.25, 32)
    with pytest.raises(BackboneError, match="no weights file"):
        picture_encoder("mobilenet", str(tmp_path / "text.h5"), 32, 0.25, 32)


# Cache


def test_the_cache_can_be_looked_at_and_emptied(tmp_path, cli, monkeypatch):
    from horngate.pipelines.system import cache

    monkeypatch.setenv("HORNGATE_CACHE", str(tmp_path))
    cache.cached_array("k", (10, 10), lambda out: out.fill(2))
    (tmp_path / ".left.npy.1.2.part").write_bytes(b"x" * 10)
    facts = json.loads(cli("cache", "info", "--json")[1])
    assert (facts["files"], facts["unfinished"], facts["folder"]) == (1, 1, str(tmp_path)) and facts["bytes"] > 400
    assert cli("cache", "info")[0] == 0 and "made free" in cli("cache", "clear")[1]
    assert not list(tmp_path.glob("*.npy")) and not list(tmp_path.glob(".*.part"))
    monkeypatch.setenv("HORNGATE_CACHE_LIMIT", "plenty")
    assert cli("cache", "info")[0] == 1
