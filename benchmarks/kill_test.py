"""Kills trainings and a prediction with -9 at random moments, resumes them, and compares with undisturbed ones.

    HORNGATE_DATA=… python benchmarks/kill_test.py [--kills 20] [--seed 0] [--files 20000] [probe finetune scratch predict]

`--kills` is how many kills each training method, and the prediction, has to survive. Moments are drawn from the seed,
over the time that an undisturbed run takes. Results are merged into benchmarks/results/kill_test.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from bench import DATA, few_flowers, keep, many_flowers

WEIGHTS = DATA / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5"
PRETRAINED = ["--backbone", "mobilenet", "--alpha", "0.25", "--weights", str(WEIGHTS), "--image-size", "96"]
METHODS = {
    "probe": [*PRETRAINED, "--method", "probe", "--augment", "light", "--views", "3"],
    "finetune": [*PRETRAINED, "--method", "finetune", "--augment", "light", "--flip", "horizontal", "--epochs", "4"],
    "scratch": ["--image-size", "32", "--augment", "light", "--epochs", "6"],
}


def command(*words) -> list[str]:
    """Return the command line of horngate with these words."""
    return [sys.executable, "-m", "horngate.cli", "-q", *map(str, words)]


def until_killed(words: list[str], seconds: float, environment: dict) -> bool:
    """Run a command and kill it after so many seconds; return whether it ended by itself before."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    try:
        problem = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode != 0:
        raise RuntimeError(problem.decode()[-2000:])
    return True


def training(method: str, kills: int, draw: np.random.Generator) -> dict:
    """Kill and resume one training until it has survived so many kills; return how far it is from an undisturbed one."""
    folder = Path(tempfile.mkdtemp())
    data = few_flowers(folder / "data", 60)
    words = ["vision", "classify", "train", "--data", data, *METHODS[method], "-o"]
    environment = os.environ | {"HORNGATE_CACHE": str(folder / "cache-whole")}
    started = time.monotonic()
    until_killed(command(*words, folder / "whole"), 3600, environment)
    length = time.monotonic() - started
    (whole,) = (folder / "whole").iterdir()
    survived, trainings, worst, same_history, finished_early = 0, 0, 0.0, True, 0
    while survived < kills:
        environment["HORNGATE_CACHE"] = str(folder / f"cache-{trainings}")
        output, next_words = folder / f"cut-{trainings}", None
        trainings += 1
        while True:
            runs = list(output.iterdir()) if output.exists() else []
            next_words = ["vision", "classify", "train", "--resume", runs[0]] if runs else [*words, output]
            wait = draw.uniform(0.2, 1.0) * length if survived < kills else 3600
            if until_killed(command(*next_words), wait, environment):
                finished_early += survived < kills
                break
            survived += 1
        (cut,) = output.iterdir()
        worst = max(worst, difference(whole, cut))
        same_history &= (whole / "history.csv").read_bytes() == (cut / "history.csv").read_bytes()
    return {
        "kills": survived,
        "trainings": trainings,
        "max abs difference of weights": worst,
        "same history": same_history,
        "seconds undisturbed": round(length, 1),
    }


def difference(one: Path, other: Path) -> float:
    """Return the largest absolute difference between the weights of two runs' saved models."""
    import zipfile
    from io import BytesIO

    import h5py

    def weights(run: Path) -> dict[str, np.ndarray]:
        found = {}
        with (
            zipfile.ZipFile(run / "model.keras") as opened,
            h5py.File(BytesIO(opened.read("model.weights.h5"))) as file,
        ):
            file.visititems(
                lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        return found

    left, right = weights(one), weights(other)
    if left.keys() != right.keys():
        raise RuntimeError("the two models have other layers")
    return max(float(np.abs(left[name].astype(float) - right[name]).max(initial=0)) for name in left)


def prediction(kills: int, files: int, draw: np.random.Generator) -> dict:
    """Kill and rerun one prediction of many files; return whether its rows are those of an undisturbed one."""
    folder = Path(tempfile.mkdtemp())
    words = [
        "vision",
        "classify",
        "train",
        "--data",
        few_flowers(folder / "data", 60),
        *METHODS["probe"],
        "-o",
        folder / "runs",
    ]
    until_killed(command(*words), 3600, os.environ | {"HORNGATE_CACHE": str(folder / "cache")})
    (run,) = (folder / "runs").iterdir()
    many_flowers(folder / "many", files)
    started = time.monotonic()
    until_killed(command("predict", run, folder / "many", "-o", folder / "whole.parquet"), 3600, dict(os.environ))
    length = time.monotonic() - started
    survived, repeated = 0, 0
    parts = folder / "cut.parquet.parts"
    while True:
        before = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*")}
        wait = 6 + draw.uniform(0, 2 * length / kills) if survived < kills else 3600
        done = until_killed(
            command("predict", run, folder / "many", "-o", folder / "cut.parquet"), wait, dict(os.environ)
        )
        if done:
            break
        survived += 1
        repeated += sum((parts / name).stat().st_mtime_ns != stamp for name, stamp in before.items())
    one, other = (pq.read_table(folder / f"{name}.parquet") for name in ("whole", "cut"))
    return {
        "kills": survived,
        "files": files,
        "rows identical": one.equals(other),
        "bytes identical": (folder / "whole.parquet").read_bytes() == (folder / "cut.parquet").read_bytes(),
        "finished parts computed again": repeated,
        "seconds undisturbed": round(length, 1),
    }


def main() -> None:
    """Run the wished tests and keep what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*METHODS, "predict"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=20_000)
    wish = parser.parse_args()
    for name in wish.names or [*METHODS, "predict"]:
        draw = np.random.default_rng(wish.seed)
        found = prediction(wish.kills, wish.files, draw) if name == "predict" else training(name, wish.kills, draw)
        keep("kill_test", name, found | {"seed": wish.seed})


if __name__ == "__main__":
    main()
