"""Presets: what is known, and how backbones travel in archives."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines.system.archive import MANIFEST
from horngate.pipelines.system.pretrained import found


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Folders of presets and of Keras that belong to one test."""
    monkeypatch.setenv("HORNGATE_PRESETS", str(tmp_path / "presets"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture(scope="session")
def preset(tmp_path_factory) -> Path:
    """A small KerasHub preset that was made here."""
    import keras_hub

    folder = tmp_path_factory.mktemp("made") / "small_resnet"
    keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(32, 32, 3),
    ).save_to_preset(folder)
    keras_hub.layers.ImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0).save_to_preset(folder)
    return folder


@pytest.fixture
def packed(preset, cli, tmp_path, homes) -> Path:
    code, out, err = cli("presets", "pack", preset, "-o", tmp_path / "p.zip", "--licence", "made here, take it")
    assert code == 0, err
    return Path(out.strip())


def weights_file(path: Path) -> Path:
    """Write random weights in the format of the published files."""
    import h5py
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    model = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3), alpha=0.35)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)
    return path


def rewritten(archive: Path, change) -> Path:
    """Write the archive anew, its members and manifest changed by `change(members, manifest)`."""
    with zipfile.ZipFile(archive) as opened:
        members = {info.filename: opened.read(info) for info in opened.infolist()}
    manifest = json.loads(members.pop(MANIFEST))
    change(members, manifest)
    target = archive.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as opened:
        opened.writestr(MANIFEST, json.dumps(manifest))
        for name, data in members.items():
            opened.writestr(name, data)
    return target


def left(homes: Path) -> list[str]:
    """Return the files that stand where presets are kept."""
    return sorted(str(path) for name in ("presets", "keras") for path in (homes / name).rglob("*") if path.is_file())


def test_an_unpacked_preset_trains_by_its_name_without_a_network(packed, cli, homes, photos):
    code, out, err = cli("presets", "unpack", packed)
    assert code == 0, err
    assert out.strip() == str(homes / "presets" / "small_resnet") == found("small_resnet")
    assert "--backbone small_resnet" in err
    knobs = ("--backbone", "small_resnet", "--method", "probe", "--epochs", 2, "-o", homes / "runs")
    code, out, err = cli("vision", "classify", "train", "--offline", "--data", photos, *knobs)
    assert code == 0, err
    recipe = (Path(out.strip()) / "recipe.yaml").read_text()
    assert "backbone: small_resnet" in recipe
    code, out, _ = cli("presets", "vision", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == "small_resnet"]
    assert row["here"] and row["licence"] == "made here, take it"


def test_packing_what_was_unpacked_gives_the_same_files(packed, cli, homes):
    cli("presets", "unpack", packed)
    code, out, err = cli("presets", "pack", "small_resnet", "-o", homes / "again.zip")
    assert code == 0, err
    with zipfile.ZipFile(packed) as one, zipfile.ZipFile(out.strip()) as two:
        assert json.loads(one.read(MANIFEST)) == json.loads(two.read(MANIFEST))
    assert cli("presets", "unpack", packed)[0] == 0  # the same once more is no conflict


@pytest.mark.parametrize("where", ["weights", "middle", "cut"])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(packed, cli, homes, where):
    if where == "weights":
        packed = rewritten(packed, lambda members, manifest: members.update({"model.weights.h5": b"other"}))
    else:
        data = bytearray(packed.read_bytes())
        data[len(data) // 2] ^= 255
        packed.write_bytes(data if where == "middle" else data[: len(data) // 2])
    code, out, err = cli("presets", "unpack", packed)
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1 and "damaged" in err
    assert left(homes) == [] and not list((homes / "presets").glob("*"))


@pytest.mark.parametrize("name", ["../outside.json", "/tmp/outside.json", "a/../../outside.json", "C:\\x.json"])
def test_a_member_that_leaves_the_folder_is_refused(packed, cli, homes, name):
    def change(members, manifest):
        members[name] = members["config.json"]
        manifest["files"][name] = manifest["files"]["config.json"]

    code, _, err = cli("presets", "unpack", rewritten(packed, change))
    assert code == 1 and "leaves the folder" in err and left(homes) == []
    assert not (homes / "outside.json").exists()


def test_a_link_in_an_archive_is_refused(packed, cli, homes):
    target = packed.with_name("link.zip")
    shutil.copy(packed, target)
    with zipfile.ZipFile(target, "a") as opened:
        info = zipfile.ZipInfo("link.json")
        info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")
    code, _, err = cli("presets", "unpack", target)
    assert code == 1 and "is a link" in err and left(homes) == []


def test_a_member_that_the_manifest_does_not_name_is_refused(packed, cli, homes):
    changed = rewritten(packed, lambda members, manifest: members.update({"more.json": b"{}"}))
    code, _, err = cli("presets", "unpack", changed)
    assert code == 1 and "exactly the files" in err and left(homes) == []


def test_a_name_that_leaves_the_folder_stays_in_it(packed, cli, homes):
    changed = rewritten(packed, lambda members, manifest: manifest.update(name="../../up"))
    code, out, _ = cli("presets", "unpack", changed)
    assert code == 0 and Path(out.strip()).resolve().parent == (homes / "presets").resolve()


def test_a_preset_with_code_from_elsewhere_is_not_unpacked(preset, cli, homes):
    strange = homes / "strange"
    shutil.copytree(preset, strange)
    config = json.loads((strange / "config.json").read_text()) | {"module": "os", "class_name": "system"}
    (strange / "config.json").write_text(json.dumps(config))
    assert cli("presets", "pack", strange, "-o", homes / "s.zip")[0] == 0
    code, _, err = cli("presets", "unpack", homes / "s.zip")
    assert code == 1 and "wants code from os" in err and left(homes) == []


def test_another_preset_of_the_same_name_is_kept_unless_told(packed, cli, homes):
    cli("presets", "unpack", packed)
    kept = homes / "presets" / "small_resnet" / "config.json"
    kept.write_text(kept.read_text() + "\n")
    code, _, err = cli("presets", "unpack", packed)
    assert code == 1 and "--overwrite" in err and kept.read_text().endswith("\n")
    assert cli("presets", "unpack", packed, "--overwrite")[0] == 0 and not kept.read_text().endswith("\n")
    assert [path.name for path in (homes / "presets").iterdir()] == ["small_resnet"]


def test_weights_of_an_architecture_travel_to_where_keras_finds_them(homes, cli, photos, monkeypatch):
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    file = weights_file(homes / "keras" / "models" / name)
    data = file.read_bytes()
    code, out, err = cli("presets", "pack", "mobilenet_v2", "-o", homes / "w.zip")
    assert code == 0, err
    file.unlink()
    assert cli("presets", "pack", "mobilenet_v2", "-o", homes / "none.zip")[0] == 1
    code, out, err = cli("presets", "unpack", homes / "w.zip")
    assert (code, out.strip()) == (0, str(file)) and file.read_bytes() == data
    (row,) = [row for row in json.loads(cli("presets", "vision", "--json")[1]) if row["name"] == "mobilenet_v2"]
    assert row["here"] and row["input_size"] == 224
    file.write_bytes(b"something else")
    assert "--overwrite" in cli("presets", "unpack", homes / "w.zip")[2] and file.read_bytes() == b"something else"


def test_a_fresh_process_trains_on_unpacked_weights(homes, cli, horngate, photos):
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    file = weights_file(homes / "keras" / "models" / name)
    cli("presets", "pack", file, "-o", homes / "w.zip")
    file.unlink()
    cli("presets", "unpack", homes / "w.zip")
    knobs = ("--backbone", "mobilenet_v2", "--alpha", 0.35, "--image-size", 96, "--method", "probe", "--epochs", 1)
    words = ("--data", photos, *knobs, "-o", homes / "runs", "--offline")
    done = horngate("vision", "classify", "train", *words)
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_no_weights_is_not_planted(homes, cli):
    (homes / "x.h5").write_bytes(b"no weights")
    assert cli("presets", "pack", homes / "x.h5", "-o", homes / "x.zip")[0] == 0
    code, _, err = cli("presets", "unpack", homes / "x.zip")
    assert code == 1 and "no weights file" in err and left(homes) == []


def test_a_preset_fetched_by_a_handle_keeps_its_whole_name(homes, preset, cli):
    shutil.copytree(preset, homes / "presets" / "hf___one_resnet")
    assert found("hf://one/resnet") == str(homes / "presets" / "hf___one_resnet")
    code, _, err = cli("presets", "pack", "hf://one/resnet", "-o", homes / "h.zip")
    assert code == 0, err
    shutil.rmtree(homes / "presets")
    code, out, _ = cli("presets", "unpack", homes / "h.zip")
    assert (code, out.strip()) == (0, found("hf://one/resnet"))


@pytest.mark.parametrize("words", [("pack", "nothing_like_it", "-o", "x.zip"), ("unpack", "nowhere.zip")])
def test_what_is_not_here_is_one_line(homes, cli, words):
    code, out, err = cli("presets", *words)
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1


def test_an_archive_that_is_none_and_a_name_that_is_taken_are_one_line(homes, cli, preset):
    (homes / "text.zip").write_text("no archive")
    assert "no archive of `presets pack`" in cli("presets", "unpack", homes / "text.zip")[2]
    assert "should end in .zip" in cli("presets", "pack", preset, "-o", homes / "p.pkl")[2]
    cli("presets", "pack", preset, "-o", homes / "p.zip", "--name", "resnet50")
    assert "an architecture's name" in cli("presets", "unpack", homes / "p.zip")[2] and left(homes) == []


def test_the_list_asks_the_libraries_and_knows_sizes(homes, cli):
    from horngate.models.backbones.pictures import architectures

    code, out, _ = cli("presets", "vision", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and set(architectures()) <= rows.keys()
    vit = rows["vit_base_patch16_384_imagenet"]
    assert (vit["input_size"], vit["source"], vit["here"]) == (384, "KerasHub", False) and vit["parameters"] > 8e7
    assert all(row["licence"] for row in rows.values())
    assert not any("whisper" in name or "bert" in name for name in rows)


def test_files_of_keras_are_told_apart_by_the_longest_name(homes):
    from horngate.models.backbones.catalogue import weights_here

    names = {
        "resnet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet50_v2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "efficientnet_b0": "efficientnetb0_notop.h5",
        "efficientnet_v2_b0": "efficientnetv2-b0_notop.h5",
        "mobilenet": "mobilenet_2_5_128_tf_no_top.h5",
        "mobilenet_v3_small": "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "nasnet_mobile": "nasnet_mobile_no_top.h5",
        "convnext_tiny": "convnext_tiny_notop.h5",
    }
    for name in names.values():
        path = homes / "keras" / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, file in names.items():
        assert [path.name for path in weights_here(name)] == [file]


def test_fetching_saves_all_parts_of_a_preset_as_a_folder(preset, homes):
    import keras_hub

    from horngate.models.backbones.catalogue import fetch

    (place,) = fetch(str(preset), homes / "saved", None, None)
    assert {path.name for path in place.iterdir()} >= {"config.json", "model.weights.h5", "image_converter.json"}
    pixels = np.zeros((1, 32, 32, 3), "float32")
    one, two = (keras_hub.models.Backbone.from_preset(str(path)).predict(pixels, verbose=0) for path in (preset, place))
    assert np.array_equal(one, two)
