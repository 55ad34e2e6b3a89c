"""The package: one import name, a wheel that runs elsewhere, devices, and imports that point one way."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import fill_class_folders

ROOT = Path(__file__).parents[2]
LIGHT = ("spec.card", "spec.recipe", "spec.discovery", "spec.errors", "runs.run", "runs.report", "runs.bundle")
LIGHT += (
    "system.files",
    "system.progress",
    "system.offline",
    "system.pretrained",
    "runtimes",
    "vision",
)


def imports_of(path: Path, everywhere: bool = True):
    tree = ast.parse(path.read_text("utf-8"))
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def sources(folder: str):
    return list((ROOT / folder).rglob("*.py"))


def test_imports_point_from_cli_to_pipelines_to_models():
    for path in sources("models"):
        assert not any(name.startswith(("horngate.pipelines", "horngate.cli")) for name in imports_of(path)), path
        assert not any(name.split(".")[0] == "tensorflow" for name in imports_of(path)), path
    for path in sources("pipelines"):
        assert not any(name.startswith("horngate.cli") for name in imports_of(path)), path


def test_domains_do_not_import_each_other():
    from horngate.pipelines.spec.discovery import domains

    for domain in domains():
        others = tuple(f"horngate.pipelines.{other}" for other in domains() if other != domain)
        for path in sources(f"pipelines/{domain}"):
            assert not any(name.startswith(others) for name in imports_of(path) if others), path


def test_light_files_stay_light():
    code = f"""
import sys
for name in {LIGHT!r}:
    __import__(f"horngate.pipelines.{{name}}")
heavy = [name for name in ("tensorflow", "keras", "numpy", "pyarrow", "sklearn", "PIL") if name in sys.modules]
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wheel_installs_elsewhere_and_owns_one_name(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"horngate"}
    assert "horngate/models/py.typed" in zipfile.ZipFile(wheel).namelist()
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = "import sys; sys.argv = ['horngate', '--help']; from horngate.cli.main import main; main()"
    where = "import horngate.cli, sys; sys.stderr.write(horngate.cli.__file__); "
    help = subprocess.run(
        [sys.executable, "-c", where + code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(target)},
    )
    assert help.returncode == 0, help.stderr
    assert str(target) in help.stderr and "vision" in help.stdout


def test_two_devices_learn_the_same_loss_as_one(forks):
    code = """
import sys
import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from horngate.models.training import transfer
from horngate.models.backbones.pictures import picture_encoder
from horngate.models.training.learning import ArrayRows, CheckpointPolicy
from horngate.models.network import Network
from horngate.pipelines.system.device import Device
import keras

draw = np.random.default_rng(0)
pixels, targets = draw.integers(0, 255, (32, 16, 16, 3), np.uint8), np.eye(2, dtype="float32")[np.arange(32) % 2]
losses = []
for names in (["CPU:0"], ["CPU:0", "CPU:1"]):
    keras.utils.set_random_seed(0)
    device = Device("test", 0, "float32", tf.distribute.MirroredStrategy(names) if len(names) > 1 else None)
    with device.scope():
        network = Network.around(picture_encoder(None, "none", 16, None, 16), 2, False, dropout=0.0)
        settings = transfer.Settings(False, 0, epochs=2, batch_size=8, learning_rate=1e-3)
        rows = ArrayRows(pixels, targets)
        history = transfer.finetune(network, rows, rows, settings, CheckpointPolicy())
    losses.append([row["loss"] for row in history] + [row["val_loss"] for row in history])
print(np.abs(np.subtract(*losses)).max())
"""
    done = forks.run(code=code)
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout.split()[-1]) < 1e-5


def test_seeds_repeat_a_training_bit_by_bit(horngate, forks, tmp_path):
    import numpy as np

    outputs, root = [], fill_class_folders(tmp_path / "p")
    for number, process in ((1, horngate), (2, forks.run)):
        done = process(
            *["vision", "classify", "train", "--image-size", "16", "--epochs", "2", "--augment", "light"],
            *("--data", root, "-o", tmp_path / str(number)),
        )
        assert done.returncode == 0, done.stderr
        with np.load(Path(done.stdout.strip()) / "checkpoints" / "scratch.npz") as stored:
            outputs.append({name: stored[name] for name in stored.files})
    assert all(np.array_equal(outputs[0][name], outputs[1][name]) for name in outputs[0])


def test_the_cache_is_bounded_and_never_half_written(tmp_path, monkeypatch):
    import numpy as np

    from horngate.pipelines.system import cache

    monkeypatch.setenv("HORNGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("HORNGATE_CACHE_LIMIT", "10000")
    for number in range(4):
        array = cache.cached_array(f"k{number}", (100, 10), lambda out: out.fill(7))
        assert array.shape == (100, 10) and array[0, 0] == 7
        os.utime(tmp_path / f"k{number}.npy", (number, number))
    assert [path.name for path in cache.entries()] == ["k2.npy", "k3.npy"]
    again = cache.cached_array("k3", (100, 10), lambda out: pytest.fail("it was there"))
    assert np.all(again == 7)
    with pytest.raises(ZeroDivisionError):
        cache.cached_array("k9", (10, 10), lambda out: 1 / 0)
    (tmp_path / "k8.npy").write_bytes(b"damaged")
    assert cache.cached_array("k8", (1, 1), lambda out: out.fill(3))[0, 0] == 3
    assert {path.name for path in tmp_path.glob("*.npy")} == {"k2.npy", "k3.npy", "k8.npy"}
