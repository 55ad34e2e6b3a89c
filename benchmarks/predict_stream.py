"""Throughput and memory of `predict` against Keras's own `model.predict`, and of measuring a million answers.

    HORNGATE_DATA=… python benchmarks/predict_stream.py [--files 20000] [stream memory measure]

stream: files to answers through `horngate.pipelines.predict`, against `model.predict` on a tf.data stream of the same
files, read by the same reader at the best of several batch sizes, both in one process, in turns. memory: peak resident
memory of the command for a tenth of the files and for all of them. measure: `evaluate`'s measuring of a synthetic table
of a million answers.
Results are merged into benchmarks/results/predict_stream.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, few_flowers, keep, many_flowers, peak_of

WEIGHTS = DATA / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"


def trained(folder: Path):
    """Return a run of a probed MobileNetV2 at 160 pixels, learnt on a few photographs."""
    from horngate.pipelines import train
    from horngate.pipelines.vision import Classify

    data = few_flowers(folder / "data", 40, ("daisy", "rose"))
    knobs = {"backbone": "mobilenet_v2", "weights": str(WEIGHTS), "image_size": 160, "method": "probe"}
    return train(Classify(data=str(data), output=str(folder / "runs"), **knobs))


def stream_row(files: int) -> dict:
    """Predict files through horngate and through `model.predict`, in turns."""
    from horngate.models.saving import open_model
    from horngate.pipelines import predict

    folder = Path(tempfile.mkdtemp())
    run, inputs = trained(folder), many_flowers(folder / "many", files)
    model = open_model(run / "model.keras")
    few = many_flowers(folder / "few", min(2000, files))
    plain(model, few, 32)
    rates = {size: min(2000, files) / plain(model, few, size)[0] for size in (8, 16, 32, 64)}
    best = max(rates, key=rates.get)
    seconds, scores = plain(model, inputs, best)
    started = time.monotonic()
    done = predict(run, [str(inputs)], folder / "out.parquet")
    ours = time.monotonic() - started
    import pyarrow.parquet as pq

    apart = np.abs(np.array(pq.read_table(done.path)["scores"].to_pylist()) - scores).max()
    return {
        "files": files,
        "horngate, files/s": round(files / ours, 1),
        "model.predict, files/s": round(files / seconds, 1),
        "best batch size of model.predict": best,
        "ratio": round(seconds / ours, 3),
        "max abs difference": float(apart),
    }


def plain(model, inputs: Path, batch_size: int) -> tuple[float, np.ndarray]:
    """Return seconds and scores of `model.predict` on a stream of decoded files."""
    import tensorflow as tf

    from horngate.pipelines.data.reading import in_order
    from horngate.pipelines.images.reader import Reader

    reader = Reader(160)

    def decoded():
        yield from in_order(lambda path: reader.read(path.read_bytes()), sorted(inputs.iterdir()), ahead=128)

    started = time.monotonic()
    data = tf.data.Dataset.from_generator(decoded, output_signature=tf.TensorSpec((160, 160, 3), tf.uint8))
    scores = model.predict(data.batch(batch_size).prefetch(4), verbose=0)
    return time.monotonic() - started, scores


def memory_row(files: int) -> dict:
    """Measure the peak resident memory of the command for a tenth of the files and for all."""
    folder = Path(tempfile.mkdtemp())
    run = trained(folder)
    peaks = {}
    for count in (files // 10, files):
        inputs = many_flowers(folder / str(count), count)
        peaks[count] = peak_of("-q", "predict", str(run.folder), str(inputs), "-o", str(folder / f"{count}.parquet"))
    few, all_files = peaks.values()
    return {
        "peak MB by files": {str(count): round(peak) for count, peak in peaks.items()},
        "ratio": round(all_files / few, 3),
    }


def measure_row(rows: int = 1_000_000) -> dict:
    """Measure synthetic tables of a million answers: two classes, and ten."""
    found = {}
    for classes in (2, 10):
        code = f"import million as m; m.measure({rows}, {classes})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        found[f"{classes} classes"] = json.loads(done.stdout.splitlines()[-1])
    return found


ROWS = {"stream": stream_row, "memory": memory_row, "measure": lambda files: measure_row()}


def main() -> None:
    """Run the wished rows and keep what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(ROWS))
    parser.add_argument("--files", type=int, default=20_000)
    wish = parser.parse_args()
    for name in wish.names or ROWS:
        keep("predict_stream", name, ROWS[name](wish.files))


if __name__ == "__main__":
    main()
