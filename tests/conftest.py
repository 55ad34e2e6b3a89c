"""What tests share: a cache of their own, made-up pictures, and one training per task."""

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # each core has a worker, and threads that wait for others spin
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock
from matplotlib.figure import Figure
from PIL import Image
from warm import Warm

from horngate.pipelines.system import progress

DRAWING = Figure.savefig
gc.set_threshold(50_000, 20, 50)  # graphs of TensorFlow are many long-lived objects, which are walked in vain


# Files that take longest, which start first, so that no core waits for the last of them; the contract comes after them.
# The first two begin with a training, which gives TensorFlow the threads of the product before anything else wakes it.
LONGEST = ("nothing_lost", "classify", "texts", "tag", "sequence", "drift", "page", "similar", "models", "package")
LONGEST += ("privacy", "anomaly_table", "keywords", "runtimes", "offline", "export", "contract")


def pytest_collection_modifyitems(items):
    """Begin with the tests that take longest."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, since they share what was trained; of the contract, those of each task."""
    from xdist.scheduler import LoadFileScheduling

    from horngate.pipelines.spec.discovery import domains

    ends = tuple(f"{domain} {task}]" for domain, cards in domains().items() for task in cards)
    config.option.loadscopereorder = False  # the order of the items is one by seconds, not by numbers of tests

    class ByTask(LoadFileScheduling):
        def _split_scope(self, nodeid):
            task = next((end for end in ends if nodeid.endswith(end)), "")
            return super()._split_scope(nodeid) + task

    return ByTask(config, log)


def of_all_workers(tmp_path_factory) -> Path:
    """Return the temporary folder that the workers of a session share."""
    mine = tmp_path_factory.getbasetemp()
    return mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    os.environ["HORNGATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HORNGATE_HOME"] = str(
        of_all_workers(tmp_path_factory) / "home"
    )  # pseudonyms of shared runs hang on its key


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real data sets; tests that need it skip where it is missing."""
    folder = os.environ.get("HORNGATE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HORNGATE_DATA names no folder with real data")
    return Path(folder)


def picture(colour, size=(24, 20), seed=0) -> Image.Image:
    """Return a noisy picture of one colour."""
    noise = np.random.default_rng(seed).integers(-40, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype("uint8"))


COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def fill_class_folders(root: Path, each: int = 12, names=tuple(COLOURS), seed: int = 0) -> Path:
    """Write `each` pictures per class below `root`, all different."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            picture(COLOURS[name], seed=seed + 1000 * place + number).save(root / name / f"{number:03d}.png")
    return root


def few_flowers(realdata: Path, folder: Path, each: int = 40) -> str:
    """Copy `each` photographs of three flowers to folders of classes below `folder`."""
    for name in ("daisy", "rose", "tulip"):
        (folder / name).mkdir(parents=True)
        for path in sorted((realdata / "vision" / "flowers5" / name).glob("*.jpg"))[:each]:
            (folder / name / path.name).write_bytes(path.read_bytes())
    return str(folder)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with three classes of twelve pictures."""
    return fill_class_folders(tmp_path / "photos")


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory):
    """A function that returns the run of a task's recipe `tiny`: trained once for all workers, and copied for each."""
    from horngate.pipelines import train
    from horngate.pipelines.runs.run import Run
    from horngate.pipelines.spec.discovery import card_class
    from horngate.pipelines.spec.recipe import merged

    ours, made = of_all_workers(tmp_path_factory) / "tiny", {}

    def trained(domain: str, task: str) -> Path:
        output = ours / f"{domain}-{task}"
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output.with_suffix(".lock")), pytest.MonkeyPatch.context() as whole:
            whole.setattr(Figure, "savefig", DRAWING)
            found = [path.parent for path in output.glob("*/run.json")]
            card = merged(card_class(domain, task), "tiny", flags={"output": str(output)})
            return found[0] if found else train(card).folder

    def run(domain: str, task: str) -> Run:
        if (domain, task) not in made:
            whole, copies = trained(domain, task), tmp_path_factory.mktemp("runs")
            copy = Path(shutil.copytree(whole, copies / whole.name))
            recipe = (copy / "recipe.yaml").read_text("utf-8")
            (copy / "recipe.yaml").write_text(recipe.replace(str(whole.parent), str(copies)), "utf-8")
            made[domain, task] = Run.open(copy)
        return made[domain, task]

    return run


@pytest.fixture(scope="session")
def horngate():
    """A function that runs the command in a process of its own and returns it, finished."""

    def call(*words, cwd=None, timeout=300, **environment):
        return subprocess.run(
            [sys.executable, "-m", "horngate.cli", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout,
            env=os.environ | environment,
        )

    return call


@pytest.fixture(scope="module")
def undrawn():
    """Plots are made and not drawn, which takes a tenth of a small training: for tests that look at no plot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, out, **how: out.write("<svg></svg>"))
        yield


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """Processes of their own for commands and code, without the seconds of a start (see `warm.py`)."""
    warm = Warm(tmp_path_factory.mktemp("forks"))
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def elsewhere(forks, tmp_path_factory):
    """A function that runs the command in a folder, in a second process that trained nothing, as `cli` does in this one.

    It is one process that takes one command after the other.
    """
    code = """
import json, os, sys
from conftest import run_here
with open("wishes") as wishes, open("answers", "w") as answers:
    for line in wishes:
        folder, words = json.loads(line)
        os.chdir(folder)
        print(json.dumps(run_here(*words)), file=answers, flush=True)
"""
    place = tmp_path_factory.mktemp("elsewhere")
    for name in ("wishes", "answers"):
        os.mkfifo(place / name)
    process = forks.start(code=code, cwd=place)
    with (place / "wishes").open("w") as wishes, (place / "answers").open() as answers:

        def call(folder, *words) -> tuple[int, str, str]:
            print(json.dumps([str(folder), [str(word) for word in words]]), file=wishes, flush=True)
            return tuple(json.loads(answers.readline()))

        yield call
    process.wait()


@pytest.fixture
def cli():
    """A function that runs the command in this process and returns (exit code, stdout, stderr)."""
    return run_here


def run_here(*words) -> tuple[int, str, str]:
    """Run the command in this process, as `main` does; return its exit code, stdout and stderr."""
    import contextlib
    import io

    from horngate.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    kept = sys.argv, sys.stdout, sys.stderr, sys.__stdout__
    code = 0
    try:
        sys.argv, sys.stdout, sys.stderr, sys.__stdout__ = ["horngate", *map(str, words)], out, err, out
        with contextlib.suppress(SystemExit):
            try:
                main()
            except SystemExit as wish:
                code = wish.code
    finally:
        sys.argv, sys.stdout, sys.stderr, sys.__stdout__ = kept
    return code, out.getvalue(), err.getvalue()


class Heard(progress.Teller):
    """Keeps what it is told."""

    def __init__(self):
        self.notices, self.details = [], []

    def notice(self, line):
        self.notices.append(line)

    def detail(self, line):
        self.details.append(line)


@pytest.fixture
def heard(monkeypatch) -> Heard:
    """What is told while a test runs: notices and details."""
    teller = Heard()
    monkeypatch.setattr(progress, "_teller", teller)
    return teller
