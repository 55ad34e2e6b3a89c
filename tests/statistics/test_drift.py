"""Drift: quiet where nothing changed, loud where something did, and honest about groups and sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import fill_class_folders
from PIL import Image, ImageEnhance

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import drift as measure
from horngate.pipelines.statistics import two_samples
from horngate.pipelines.statistics.drift import Sample, drift

pytestmark = pytest.mark.usefixtures("undrawn")


def sample(draw, rows=80, shift=0.0, spread=1.0, names=("a", "b"), shares=None, units=None) -> Sample:
    """Return made-up rows: 8 features and 3 statistics from a normal distribution, one label each."""
    features = draw.normal(shift, spread, (rows, 8)).astype(np.float32)
    statistics = {name: draw.normal(shift, spread, rows) for name in ("x", "y", "z")}
    labels = [[name] for name in draw.choice(names, rows, p=shares)]
    return Sample(features, statistics, labels, np.arange(rows) if units is None else units)


LEARNT = {"a": 0.5, "b": 0.5}


def test_rows_of_the_same_kind_hardly_ever_alarm():
    found = [
        drift(sample(np.random.default_rng(seed)), sample(np.random.default_rng(seed + 1000)), LEARNT, seed)
        for seed in range(60)
    ]
    assert sum(one["alarm"] for one in found) <= 3
    assert "no drift seen in 80 rows" in found[0]["said"]


def test_what_moved_is_named():
    draw = np.random.default_rng(0)
    found = drift(sample(draw, shift=1.0), sample(draw), LEARNT, 0)
    assert found["alarm"] and found["features"]["alarm"] and all(row["alarm"] for row in found["inputs"])
    assert not found["labels_moved"]["alarm"]
    assert "features at distance" in found["said"] and "against" in found["said"]
    json.dumps(found, allow_nan=False)


def test_a_change_of_spread_alone_is_seen_by_features():
    draw = np.random.default_rng(0)
    assert drift(sample(draw, 200, spread=3.0), sample(draw, 200), LEARNT, 0)["features"]["alarm"]


def test_labels_that_moved_and_labels_never_learnt_alarm():
    draw = np.random.default_rng(0)
    moved = drift(sample(draw, 200, shares=(0.9, 0.1)), sample(draw, 200), LEARNT, 0)
    assert moved["labels_moved"]["alarm"] and moved["alarm"] and not moved["features"]["alarm"]
    strange = drift(sample(draw, names=("a", "b", "c"), shares=(0.48, 0.48, 0.04)), sample(draw), LEARNT, 0)
    assert strange["unlearnt_labels"] == ["c"] and strange["alarm"] and "labels never learnt: c" in strange["said"]


def test_significant_but_small_is_no_alarm():
    draw = np.random.default_rng(0)
    known, new = sample(draw, 900), sample(draw, 900, shift=0.25)
    found = drift(new, known, LEARNT, 0)
    assert found["inputs"][0]["p_value"] < 0.05 and found["inputs"][0]["effect"] < measure.SIZES["inputs"]
    assert not any(row["alarm"] for row in found["inputs"])


def test_rows_of_few_groups_do_not_pass_for_independent_ones():
    alarms = {"rows": 0, "groups": 0}
    for seed in range(12):
        draw = np.random.default_rng(seed)
        sides = []
        for _ in range(2):
            units = np.repeat(np.arange(8), 25)
            centres = draw.normal(0, 1, (8, 8))[units]
            features = (centres + draw.normal(0, 0.2, (200, 8))).astype(np.float32)
            sides.append((features, {"x": features[:, 0].astype(float)}, None, units))
        alarms["groups"] += drift(Sample(*sides[0]), Sample(*sides[1]), {}, seed)["alarm"]
        alone = [Sample(*side[:3], np.arange(200)) for side in sides]
        alarms["rows"] += drift(*alone, {}, seed)["alarm"]
    assert alarms["rows"] == 12 and alarms["groups"] <= 2


def test_the_energy_coefficient_is_that_of_its_definition():
    draw = np.random.default_rng(0)
    x, y = draw.normal(0, 1, (6, 3)), draw.normal(1, 1, (9, 3))

    def mean(one, two, same):
        pairs = [np.linalg.norm(a - b) for i, a in enumerate(one) for j, b in enumerate(two) if not (same and i == j)]
        return np.mean(pairs)

    between = mean(x, y, False)
    wanted = (2 * between - mean(x, x, True) - mean(y, y, True)) / (2 * between)
    sides = np.append(np.ones(6), np.zeros(9))[None]
    assert two_samples.energy(np.concatenate([x, y]), sides)[0] == pytest.approx(wanted)


def test_the_gap_is_that_of_kolmogorov_and_smirnov_also_with_ties():
    from scipy.stats import ks_2samp

    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 5, 40).astype(float), draw.integers(1, 6, 30).astype(float)
    sides = np.append(np.ones(40), np.zeros(30))[None]
    assert two_samples.gap(np.concatenate([x, y]), sides)[0] == pytest.approx(ks_2samp(x, y).statistic)


def test_chi_squared_is_that_of_pearson():
    from scipy.stats import chi2_contingency

    labels = [["a"]] * 20 + [["b"]] * 10 + [["a"]] * 7 + [["b"]] * 18
    _, hot = measure._multi_hot(labels)
    sides = np.append(np.ones(30), np.zeros(25))[None]
    wanted = chi2_contingency([[20, 10], [7, 18]], correction=False).statistic
    assert two_samples.chi_squared(hot, sides)[0] == pytest.approx(wanted)


def test_few_rows_and_missing_parts_say_nothing_wrong():
    draw = np.random.default_rng(0)
    assert drift(sample(draw, 9), sample(draw), LEARNT, 0) is None
    bare = Sample(None, {"x": np.full(40, np.nan), "same": np.ones(40)}, None, np.arange(40))
    found = drift(bare, bare, {}, 0)
    assert (found["features"], found["labels"], found["alarm"]) == (None, [], False)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A run on 3 × 40 made-up pictures in class folders."""
    from horngate.pipelines import train
    from horngate.pipelines.vision import Classify

    root = tmp_path_factory.mktemp("coloured")
    data = str(fill_class_folders(root / "photos", each=40))
    return train(Classify(data=data, image_size=16, epochs=1, output=str(root / "runs")))


def darkened(source: Path, target: Path, factor: float = 0.5) -> Path:
    for path in source.glob("*/*.*"):
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        picture = ImageEnhance.Brightness(Image.open(path).convert("RGB")).enhance(factor)
        picture.save(target / path.parent.name / f"{path.stem}.png")
    return target


def test_check_is_quiet_on_the_same_kind_of_pictures_and_loud_on_dark_ones(coloured, cli, tmp_path):
    more = fill_class_folders(tmp_path / "more", each=25, seed=77_000)
    code, out, err = cli("vision", "classify", "check", more, "--against", coloured.folder, "--json")
    found = json.loads(out)["drift"]
    assert (code, found["alarm"], found["columns"]) == (0, False, []), err
    dark = darkened(more, tmp_path / "dark")
    code, out, _ = cli("vision", "classify", "check", dark, "--against", coloured.folder, "--json")
    seen = json.loads(out)
    assert code == 0 and seen["drift"]["alarm"]
    assert "brightness" in {row["name"] for row in seen["drift"]["inputs"] if row["alarm"]}
    assert ("warning", "drift") in {(row["grade"], row["code"]) for row in seen["findings"]}
    code, out, err = cli("vision", "classify", "check", dark, "--against", coloured.folder, "--strict")
    assert code == 1 and "brightness" in out and "alarm" in out and "findings would stop" in err


def test_evaluate_adds_the_same_numbers_for_test_and_other_rows_only(coloured, cli, tmp_path):
    kept = {
        split: json.loads((coloured / f"evaluation/{split}/report.json").read_text())
        for split in ("validation", "test")
    }
    assert "drift" not in kept["validation"]["details"]
    assert kept["test"]["details"]["drift"]["alarm"] is False
    again = json.loads(cli("evaluate", coloured.folder, "--json", "-o", tmp_path / "again")[1])
    assert again["details"]["drift"] == kept["test"]["details"]["drift"]
    dark = darkened(fill_class_folders(tmp_path / "more", each=10, seed=5000), tmp_path / "dark")
    code, out, err = cli("evaluate", coloured.folder, "--data", dark, "-o", tmp_path / "dark-report", "--json")
    assert code == 0 and json.loads(out)["details"]["drift"]["alarm"] and "drift in 30 rows" in err
    code, out, _ = cli("vision", "classify", "check", dark, "--against", coloured.folder, "--json")
    assert (
        json.loads(out)["drift"]["inputs"]
        == json.loads((tmp_path / "dark-report/report.json").read_text())["details"]["drift"]["inputs"]
    )


def test_pictures_without_labels_and_of_one_class_are_compared(coloured, cli, tmp_path):
    one = fill_class_folders(tmp_path / "one", each=30, names=("red",), seed=900)
    code, out, _ = cli("vision", "classify", "check", one, "--against", coloured.folder, "--json")
    found = json.loads(out)["drift"]
    assert code == 0 and found["labels_moved"]["alarm"] and found["alarm"]
    flat = tmp_path / "flat"
    fill_class_folders(tmp_path / "x", each=20, names=("red",), seed=40)
    (tmp_path / "x" / "red").rename(flat)
    code, out, err = cli("vision", "classify", "check", flat, "--against", coloured.folder, "--json")
    seen = json.loads(out)
    assert code == 0, err
    assert seen["drift"]["rows"] == 20 and seen["drift"]["labels"] == []
    assert "unlabelled" in {row["code"] for row in seen["findings"]}


def test_columns_that_came_went_or_changed_are_named(cli, tmp_path):
    from horngate.pipelines import train
    from horngate.pipelines.vision import Classify

    root = fill_class_folders(tmp_path / "p", each=20)
    paths = sorted(root.glob("*/*.png"))
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in paths]
    (root / "t.csv").write_text("path,label,size,camera\n" + "\n".join(f"{row},{n},A" for n, row in enumerate(rows)))
    (root / "u.csv").write_text("path,label,size,place\n" + "\n".join(f"{row},big,B" for row in rows))
    run = train(Classify(data=str(root / "t.csv"), image_size=16, epochs=1, output=str(tmp_path / "runs")))
    code, out, err = cli("vision", "classify", "check", root / "u.csv", "--against", run.folder, "--json")
    assert code == 0, err
    changes = {row["column"]: row["change"] for row in json.loads(out)["drift"]["columns"]}
    assert changes == {"camera": "missing", "place": "new", "size": "text, was number"}


def test_new_data_needs_no_split_and_no_group_column(cli, tmp_path):
    from horngate.pipelines import train
    from horngate.pipelines.vision import Classify

    root = fill_class_folders(tmp_path / "p", each=20)
    rows = [(f"{path.relative_to(root)},{path.parent.name}", n) for n, path in enumerate(sorted(root.glob("*/*.png")))]
    sides = ("train", "train", "train", "test", "validation")
    lines = [f"{row},{sides[n % 5]},g{n}" for row, n in rows]
    (root / "t.csv").write_text("path,label,side,box\n" + "\n".join(lines))
    (root / "u.csv").write_text("path,label\n" + "\n".join(row for row, _ in rows))
    knobs = {"split_column": "side", "group_column": "box", "image_size": 16, "epochs": 1}
    run = train(Classify(data=str(root / "t.csv"), output=str(tmp_path / "runs"), **knobs))
    code, out, err = cli("vision", "classify", "check", root / "u.csv", "--against", run.folder, "--json")
    seen = json.loads(out)
    assert code == 0, err
    assert seen["drift"]["alarm"] is False and seen["drift"]["labels_moved"] and seen["drift"]["rows"] == 60
    assert [row["message"] for row in seen["findings"] if row["code"] == "columns"]


def test_a_run_without_a_profile_or_with_a_damaged_one_is_one_line(cli, coloured, tmp_path):
    import shutil

    from horngate.pipelines import evaluate

    old = tmp_path / "old"
    shutil.copytree(coloured.folder, old)
    (old / "profile.npz").unlink()
    code, out, err = cli("-q", "vision", "classify", "check", coloured.card.data, "--against", old)
    assert (code, out) == (1, "") and "train anew" in err and len(err.strip().splitlines()) == 1
    assert "drift" not in evaluate(old, output=tmp_path / "again").details
    data = bytearray((coloured / "profile.npz").read_bytes())
    (old / "profile.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="damaged"):
        evaluate(old, output=tmp_path / "again")


def test_statistics_of_a_picture_are_what_they_are_called():
    from io import BytesIO

    from horngate.pipelines.images.statistics import statistics

    out = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (255, 0, 0)).save(out, "JPEG", exif=exif)
    found = statistics(out.getvalue(), np.full((8, 8, 3), (255, 0, 0), np.uint8))
    assert (found["width"], found["height"], found["aspect"]) == (20, 40, 0.5)
    assert found["brightness"] == pytest.approx(0.299) and found["saturation"] == pytest.approx(1)
    assert found["redness"] == pytest.approx(0.701) and found["contrast"] == pytest.approx(0, abs=1e-5)


@pytest.mark.realdata
def test_flowers_are_quiet_and_dark_flowers_and_tiles_are_loud(realdata, cli, tmp_path):
    from horngate.pipelines import train
    from horngate.pipelines.vision import Classify

    flowers = realdata / "vision" / "flowers5"
    for kind in sorted(path for path in flowers.iterdir() if path.is_dir()):
        pictures = sorted(kind.glob("*.jpg"))
        for name, part in (("train", pictures[:40:2]), ("other", pictures[1:40:2])):
            (tmp_path / name / kind.name).mkdir(parents=True)
            for path in part:
                (tmp_path / name / kind.name / path.name).symlink_to(path)
    weights = str(realdata / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5")
    knobs = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 128, "weights": weights, "method": "probe"}
    run = train(Classify(data=str(tmp_path / "train"), output=str(tmp_path / "runs"), **knobs))
    darkened(tmp_path / "other", tmp_path / "dark")
    alarms = {}
    for name, source in {"other": tmp_path / "other", "dark": tmp_path / "dark"}.items():
        out = cli("vision", "classify", "check", source, "--against", run.folder, "--json")[1]
        alarms[name] = json.loads(out)["drift"]["alarm"]
    tiles = realdata / "vision" / "magnetic_tiles" / "Blowhole"
    out = cli("vision", "classify", "check", tiles, "--against", run.folder, "--json")[1]
    alarms["tiles"] = json.loads(out)["drift"]["features"]["alarm"]
    assert alarms == {"other": False, "dark": True, "tiles": True}
