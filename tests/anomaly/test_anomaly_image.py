"""Strange pictures: where masks are found, heat maps that fit their pictures, and data that doesn't say what it should."""

import csv
import json
import os
import shutil
from base64 import b64decode
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from horngate.pipelines import predict, train
from horngate.pipelines.anomaly import Image
from horngate.pipelines.data.samples import textures
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import examples
from horngate.pipelines.data.sources.masks import Masks
from horngate.pipelines.images.heat_maps import enlarged
from horngate.pipelines.images.masks import fitting, read_mask
from horngate.pipelines.images.reader import SUFFIXES, Reader
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import read_json, read_table

pytestmark = pytest.mark.usefixtures("undrawn")

WEIGHTS = Path(os.environ.get("HORNGATE_DATA", ".")) / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5"
MOBILE = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 64, "finest": "8"}
MOBILE["weights"] = str(WEIGHTS) if WEIGHTS.is_file() else "none"


@pytest.fixture(scope="session")
def factory(tmp_path_factory):
    """A folder in the layout of MVTec AD: train/good, test/<defect> and ground_truth/<defect>/*_mask.png."""
    root = tmp_path_factory.mktemp("factory")
    table = textures.table().to_pylist()
    for number, row in enumerate(table[:40] + table[70:80] + table[90:]):
        place = root / row["split"] / row["target"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:03d}.png").write_bytes(row["value"])
        if row["mask"]:
            folder = root / "ground_truth" / row["target"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:03d}_mask.png").write_bytes(b64decode(row["mask"].split(",")[1]))
    return root


@pytest.fixture(scope="session")
def patched(factory, tmp_path_factory):
    """A run of PatchCore, through pretrained weights where `HORNGATE_DATA` has them, else through random ones."""
    output = str(tmp_path_factory.mktemp("patched"))
    return train(Image(data=str(factory), detector="patchcore", memory=300, validation=0.2, output=output, **MOBILE))


def report_of(run, split="test"):
    return read_json(run / "evaluation" / split / "report.json")


def test_a_mask_is_never_listed_as_an_input(factory):
    listing = Listing()
    table = examples(Image(data=str(factory)), SUFFIXES, listing)
    rows = {row["id"]: row for row in table.to_pylist()}
    assert len(rows) == 74 and listing.skipped["mask"] == 24
    assert not any("ground_truth" in name for name in rows)
    assert {row["split"] for row in rows.values()} == {"train", "test"}
    masks = {row["id"]: row["mask"] for row in rows.values() if row["mask"]}
    assert len(masks) == 24 and masks["test/hole/050.png"].endswith("ground_truth/hole/050_mask.png")
    assert sum(row["mask"] is None for row in rows.values() if row["target"] == "good") == 50


def test_masks_beside_their_pictures_are_told_apart_by_their_ending(tmp_path):
    for name in ("Free/a.jpg", "Crack/b.jpg", "Crack/b.png", "Crack/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Pillow.new("L", (20, 20)).save(tmp_path / name)
    rows = examples(Image(data=str(tmp_path), mask_suffix=".png"), SUFFIXES).to_pylist()
    assert {row["id"]: row["mask"] and row["mask"].removeprefix(f"{tmp_path}/") for row in rows} == {
        "Crack/b.jpg": "Crack/b.png",
        "Crack/c.jpg": None,
        "Free/a.jpg": None,
    }
    assert "mask" not in examples(Image(data=str(tmp_path)), SUFFIXES).column_names


def test_a_folder_of_masks_may_lie_anywhere_and_be_flat(tmp_path):
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    for name in ("pictures/good/a.png", "pictures/bad/b.jpg", "masks/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("L", (20, 20)).save(tmp_path / name)
    found = Masks(pictures, str(masks), None)
    assert (found.of("bad/b.jpg"), found.of("good/a.png")) == (str(masks / "b.png"), None)
    Pillow.new("L", (20, 20)).save(masks / "b.bmp")
    with pytest.raises(UserError, match="could both be the mask of bad/b.jpg"):
        Masks(pictures, str(masks), None).of("bad/b.jpg")
    with pytest.raises(UserError, match="--masks should be a folder"):
        Masks(pictures, str(tmp_path / "nowhere"), None)
    with pytest.raises(UserError, match="--mask-suffix"):
        Masks(pictures, str(pictures), None)


def test_tables_name_masks_in_a_column_or_hold_them(tmp_path):
    Pillow.new("L", (20, 20)).save(tmp_path / "a.png")
    Pillow.new("L", (20, 20), 255).save(tmp_path / "a_mask.png")
    rows = [{"path": "a.png", "label": "bad", "mask": "a_mask.png"}, {"path": "a.png", "label": "good", "mask": ""}]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([*rows, {"path": "a.png", "label": "bad", "mask": "../elsewhere.png"}])
    named = examples(Image(data=str(tmp_path / "t.csv")), SUFFIXES).to_pylist()
    assert [row["mask"] for row in named] == [str(tmp_path / "a_mask.png"), None, None]
    assert [row["error"] is None for row in named] == [True, True, False] and "--allow-outside" in named[2]["error"]
    held = pa.table({"path": ["a.png"], "label": ["bad"], "mask": [(tmp_path / "a_mask.png").read_bytes()]})
    pq.write_table(held, tmp_path / "t.parquet")
    (row,) = examples(Image(data=str(tmp_path / "t.parquet")), SUFFIXES).to_pylist()
    assert read_mask(row["mask"]).all() and read_mask(row["mask"]).shape == (20, 20)


@pytest.mark.parametrize(("values", "defects"), [((0, 1), 3), ((0, 255), 3), ((3, 254), 3), ((0, 0), 0), ((1, 1), 9)])
def test_masks_hold_0_and_1_or_bright_and_dark(values, defects, tmp_path):
    pixels = np.full((3, 3), values[0], "uint8")
    pixels[1] = values[1]
    Pillow.fromarray(pixels).save(tmp_path / "mask.png")
    assert read_mask(str(tmp_path / "mask.png")).sum() == defects


def test_masks_that_say_nothing_clear_are_refused(tmp_path):
    Pillow.fromarray(np.full((30, 20), 7, "uint8")).save(tmp_path / "dim.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, why in (
        ("dim.png", "brightest pixel is 7"),
        ("text.png", "no readable picture"),
        ("none.png", "missing"),
    ):
        with pytest.raises(Unreadable, match=why):
            read_mask(str(tmp_path / name))
    assert fitting(np.zeros((300, 200), bool), 20, 30).shape == (300, 200)  # of another size, but of the same shape
    with pytest.raises(Unreadable, match="it is 20 × 30, its picture 30 × 20"):
        fitting(np.zeros((30, 20), bool), 30, 20)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(160, 80), (90, 150)])
def test_a_heat_map_is_hot_where_the_picture_is(resize, shape, tmp_path):
    width, height = shape
    pixels = np.zeros((height, width), "uint8")
    top, left = height // 4, 3 * width // 4
    pixels[top - 6 : top + 6, left - 6 : left + 6] = 255
    Pillow.fromarray(pixels).save(tmp_path / "spot.png")
    seen = Reader(64, resize).read((tmp_path / "spot.png").read_bytes())[..., 0].astype("float32")
    grid = seen.reshape(8, 8, 8, 8).mean((1, 3))
    heat = enlarged(grid, width, height, resize)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    assert heat.shape == (height, width)
    assert abs(hottest[0] - top) <= max(shape) / 12 and abs(hottest[1] - left) <= max(shape) / 12


@pytest.mark.realdata
def test_patch_core_finds_defects_and_where_they_are(patched, realdata):
    values = {name: score["value"] for name, score in report_of(patched)["metrics"].items()}
    assert values["auroc"] > 0.9 and values["pixel_auroc"] > 0.8 and values["aupro"] > 0.6


def test_a_report_measures_pixels_and_kinds_of_defects(patched):
    report = report_of(patched)
    assert list(report["metrics"]) == ["auroc", "average_precision", "pixel_auroc", "aupro"]
    assert (report["metrics"]["aupro"]["baseline"], report["metrics"]["pixel_auroc"]["baseline"]) == (0.15, 0.5)
    assert report["protocol"]["protocol"] == "one-class" and report["protocol"]["kept_patches"] == 300
    assert report["details"]["pixels"]["regions"] >= 24 and report["details"]["pixels"]["left_out"] == 0
    assert [row["defect"] for row in report["details"]["defects"]] == ["hole", "scratch", "stain"]
    assert set(report["references"]) == {"thumbnail_neighbours"}
    assert "pixel_auroc" not in report_of(patched, "validation")["metrics"]  # normal pictures alone, without a mask


def test_the_page_shows_heat_maps_beside_masks(patched):
    page = (patched / "evaluation/test/report.html").read_text()
    assert "Top cases and mistakes" in page and "Heat maps and masks" in page and "Kinds of anomalies" in page
    assert page.count('alt="Its mask"') >= 5 and "Grad-CAM" not in page


def test_predict_writes_heat_maps_as_large_as_their_pictures(patched, tmp_path, cli):
    wide = tmp_path / "in" / "wide.png"
    wide.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 90), "uint8")
    Pillow.fromarray(noise).save(wide)
    inputs = (wide, tmp_path / "in" / "gone.png")
    code, _, err = cli(
        "predict", patched.folder, *inputs, "-o", tmp_path / "p.jsonl", "--heatmaps", tmp_path / "heat", "--float-maps"
    )
    assert code == 0, err
    good, bad = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert 0 < good["p_value"] <= 1 and good["heatmap"].startswith(str(tmp_path / "heat" / "in_wide-"))
    assert bad["error"] == "missing" and bad["heatmap"] is None
    assert Pillow.open(good["heatmap"]).size == (90, 40)
    values = np.asarray(Pillow.open(good["heatmap"].replace(".png", ".tiff")))
    assert values.shape == (40, 90) and values.dtype == np.float32 and values.std() > 0
    assert len(list((tmp_path / "heat").iterdir())) == 2
    code, _, err = cli("predict", patched.folder, wide, "-o", tmp_path / "q.jsonl", "--float-maps")
    assert code == 1 and "--heatmaps DIR" in err
    predict(patched, [wide], tmp_path / "r.parquet")
    assert "heatmap" not in pq.read_table(tmp_path / "r.parquet").column_names


def test_predicting_a_folder_leaves_masks_out(patched, factory, tmp_path):
    done = predict(patched, [factory], tmp_path / "p.parquet")
    ids = pq.read_table(tmp_path / "p.parquet")["id"].to_pylist()
    assert (done.rows, done.errors) == (74, 0) and not any("ground_truth" in name for name in ids)


def test_patch_core_exports_and_answers_the_same(patched, factory, tmp_path, cli):
    code, _, err = cli("export", patched.folder, "--format", "litert", "-o", tmp_path / "bundle")
    assert code == 0, err
    some = sorted((factory / "test" / "hole").iterdir())
    code, _, err = cli("anomaly", "image", "predict", tmp_path / "bundle", *some, "-o", tmp_path / "a.parquet")
    assert code == 0, err
    predict(patched, some, tmp_path / "b.parquet", runtime="tensorflow")
    ours, theirs = (pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert ours["score"].to_numpy() == pytest.approx(theirs["score"].to_numpy(), abs=1e-4)
    assert ours["anomalous"] == theirs["anomalous"]


def test_an_unfinished_fit_repeats_to_the_same_model(patched, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(patched.folder, again)
    for name in ("run.json", "model.keras", "alarms.json", "schema.json"):
        (again / name).unlink()
    run = train(resume=again)
    assert read_json(run / "alarms.json") == read_json(patched / "alarms.json")
    answers = [read_table(one / "evaluation/test/answers.parquet") for one in (run, patched)]
    assert answers[0].equals(answers[1])


def test_padim_learns_from_a_flat_folder_without_labels(factory, tmp_path, cli):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((factory / "train/good").iterdir())):
        shutil.copy(path, flat / f"{number}.png")
    words = [part for name, value in MOBILE.items() for part in (f"--{name.replace('_', '-')}", value)]
    code, out, err = cli("anomaly", "image", "train", "--data", flat, "--detector", "padim", *words, "-o", tmp_path)
    assert code == 0, err
    report = read_json(Path(out.strip()) / "evaluation/test/report.json")
    assert report["metrics"]["auroc"] | {"baseline": None} == report["metrics"]["auroc"] | {
        "value": None,
        "baseline": None,
    }
    assert (
        report["metrics"]["auroc"]["reason"] == "no row has a target"
        and "all training rows are taken for normal" in err
    )


def test_masks_that_do_not_fit_are_told_and_left_out(factory, patched, tmp_path, cli):
    copy = tmp_path / "factory"
    shutil.copytree(factory, copy)
    first, second, third = sorted((copy / "ground_truth/hole").iterdir())[:3]
    Pillow.new("L", (64, 32), 255).save(first)
    Pillow.new("L", (64, 64)).save(second)
    third.unlink()
    code, out, _ = cli("anomaly", "image", "check", copy, "--json")
    said = {finding["code"]: finding for finding in json.loads(out)["findings"]}
    assert code == 0 and {"no_mask", "bad_masks", "empty_masks"} <= said.keys()
    assert "it is 64 × 32, its picture 64 × 64" in said["bad_masks"]["message"]
    assert said["empty_masks"]["rows"] == said["no_mask"]["rows"] == 1
    code, out, _ = cli("evaluate", patched.folder, "--data", copy, "--split", "test", "--json", "-o", tmp_path / "e")
    pixels = json.loads(out)["details"]["pixels"]
    assert code == 0 and (pixels["left_out"], pixels["pictures"]) == (3, 31)
    assert {why for _, why in pixels["first_left_out"]} == {
        "it is 64 × 32, its picture 64 × 64",
        "its mask shows no defect",
        "no mask",
    }


def test_one_picture_or_one_picture_many_times_is_one_line(factory, tmp_path, cli):
    picture = next((factory / "train/good").iterdir())
    for count in (1, 12):
        folder = tmp_path / str(count) / "good"
        folder.mkdir(parents=True)
        for number in range(count):
            shutil.copy(picture, folder / f"{number}.png")
        code, out, err = cli("anomaly", "image", "train", "--data", folder.parent, "-o", tmp_path / "runs")
        assert (code, out) == (1, "") and len(err.strip().splitlines()) <= 2 and "belong together" in err, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--detector", "patchcore"), "--backbone"),
        (("--detector", "padim", "--backbone", "mobilenet_v9"), "mobilenet"),
        (("--masks", "nowhere"), "--masks should be a folder"),
        (("--normal", "goood"), 'Did you mean "good"'),
    ],
)
def test_what_cannot_be_is_one_line_with_the_fix(words, said, factory, tmp_path, cli):
    code, out, err = cli("anomaly", "image", "train", "--data", factory, "-o", tmp_path, *words)
    assert (code, out) == (1, "") and said in err.strip().splitlines()[-1]
