"""LiteRT, ONNX Runtime and SavedModel against Keras on the same two cores, rows and weights, in one script.

    HORNGATE_DATA=… python benchmarks/runtimes.py [forward features formats]

forward: a MobileNetV2 at 160 pixels on pictures in memory, `model.predict` at the best of several batch sizes against
horngate's LiteRT, in turns. features: the encoder's features of 10,000 files, reading, conversion and race included.
formats: for every export its parity, size, start-up (a `horngate predict` of one file, whole process) and throughput.
`predict_stream.py stream` measures whole predictions. Results are merged into benchmarks/results/runtimes.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["HORNGATE_CACHE"] = tempfile.mkdtemp()  # an empty cache: what is measured is computed

import numpy as np
from bench import FLOWERS, keep, many_flowers
from predict_stream import WEIGHTS, trained

EXPORTS = [("saved_model", "float32")]
EXPORTS += [(kind, precision) for kind in ("onnx", "litert") for precision in ("float32", "float16", "int8")]


def pictures(count: int) -> np.ndarray:
    """Return so many photographs as uint8 `[n, 160, 160, 3]`."""
    from horngate.pipelines.data.reading import in_order
    from horngate.pipelines.images.reader import Reader

    files = sorted(FLOWERS.glob("*/*.jpg"))
    files = [files[number % len(files)] for number in np.linspace(0, len(files) - 1, count).astype(int)]
    return np.stack(list(in_order(lambda path: Reader(160).read(path.read_bytes()), files)))


def rate(work, rows: int) -> float:
    """Return rows per second of a function, called once."""
    started = time.perf_counter()
    work()
    return rows / (time.perf_counter() - started)


def best_batch(model, pixels: np.ndarray) -> int:
    """Return the batch size at which `model.predict` is fastest."""
    rates = {}
    for size in (8, 16, 32, 64):
        model.predict(pixels[:size], batch_size=size, verbose=0)
        rates[size] = rate(lambda size=size: model.predict(pixels, batch_size=size, verbose=0), len(pixels))
    return max(rates, key=rates.get)


def forward_row() -> dict:
    """Race the forward pass alone, five turns each, medians."""
    from horngate.models.saving import open_model
    from horngate.pipelines.runtimes import start
    from horngate.pipelines.runtimes.conversion import to_litert

    folder = Path(tempfile.mkdtemp())
    model = open_model(trained(folder) / "model.keras")
    to_litert(model, folder / "model.tflite")
    fast, pixels = start("litert", folder / "model.tflite"), pictures(1024)
    size = best_batch(model, pixels)
    fast.run(pixels[:32])
    rates = [
        (
            rate(lambda: model.predict(pixels, batch_size=size, verbose=0), 1024),
            rate(lambda: [fast.run(pixels[at : at + 32]) for at in range(0, 1024, 32)], 1024),
        )
        for _ in range(5)
    ]
    plain, ours = np.median(rates, axis=0)
    apart = float(np.abs(model.predict(pixels, verbose=0) - fast.run(pixels)).max())
    return {
        "model.predict, images/s": round(float(plain), 1),
        "best batch size of model.predict": size,
        "LiteRT, images/s": round(float(ours), 1),
        "ratio": round(float(ours / plain), 3),
        "max abs difference": apart,
    }


def features_row(files: int = 10_000) -> dict:
    """Compute the features of files through Keras, and through what `--runtime auto` chooses, its choosing included."""
    from horngate.models.backbones.pictures import picture_encoder
    from horngate.models.training import transfer
    from horngate.pipelines.data.reading import in_order
    from horngate.pipelines.images.reader import Reader
    from horngate.pipelines.runtimes.race import Track

    folder = Path(tempfile.mkdtemp())
    paths = sorted(many_flowers(folder / "many", files).iterdir())
    encoder = picture_encoder("mobilenet_v2", str(WEIGHTS), 160, None, 64)

    def batches():
        stream = in_order(lambda path: Reader(160).read(path.read_bytes()), paths, ahead=128)
        while rows := [row for _, row in zip(range(32), stream, strict=False)]:
            yield np.stack(rows)

    def computed(forward) -> np.ndarray:
        out = np.zeros((files, encoder.output_shape[-1]), np.float32)
        transfer.features_of(forward, batches(), files, 32, out, lambda rows: None)
        return out

    encoder.predict_on_batch(pictures(32))
    started = time.perf_counter()
    slow = computed(encoder.predict_on_batch)
    middle = time.perf_counter()
    chosen, verdict = Track(folder, "encoder", encoder, 32, "auto").choose(files, lambda: pictures(64))
    raced = time.perf_counter()
    fast = computed(chosen.run)
    end = time.perf_counter()
    return {
        "files": files,
        "Keras, s": round(middle - started, 1),
        "auto, s": round(end - middle, 1),
        "of which conversion and race, s": round(raced - middle, 1),
        "ratio": round((middle - started) / (end - middle), 3),
        "ratio without conversion and race": round((middle - started) / (end - raced), 3),
        "verdict": verdict.plain(),
        "max abs difference, of the largest feature": float(np.abs(slow - fast).max() / np.abs(slow).max()),
    }


def formats_row() -> dict:
    """Export one run in every form and measure each."""
    from horngate.models.saving import open_model
    from horngate.pipelines import export, verify

    folder = Path(tempfile.mkdtemp())
    run, pixels = trained(folder), pictures(512)
    model = open_model(run / "model.keras")
    size = best_batch(model, pixels)
    wanted = model.predict(pixels, verbose=0)
    one = str(next(FLOWERS.glob("daisy/*.jpg")))
    found = {}
    for kind, precision in EXPORTS:
        bundle = export(run, kind, folder / f"{kind}-{precision}", precision=precision)
        runtime = bundle.start()
        said = runtime.run(pixels)
        plain = rate(lambda: model.predict(pixels, batch_size=size, verbose=0), 512)
        ours = rate(lambda runtime=runtime: [runtime.run(pixels[at : at + 32]) for at in range(0, 512, 32)], 512)
        files = [path for path in [bundle.model, *bundle.model.rglob("*")] if path.is_file()]
        found[f"{kind} {precision}"] = {
            "golden rows, max abs difference": verify(bundle).differences["outputs"],
            "512 rows, max abs difference": float(np.abs(said - wanted).max()),
            "512 rows, same answer": float((said.argmax(1) == wanted.argmax(1)).mean()),
            "MB": round(sum(path.stat().st_size for path in files) / 1e6, 2),
            "start-up, s": round(
                min(process_seconds("predict", str(bundle.folder), one, "-o", "-") for _ in range(3)), 2
            ),
            "images/s": round(ours, 1),
            "ratio to model.predict": round(ours / plain, 2),
        }
        print(kind, precision, found[f"{kind} {precision}"], flush=True)
    words = ("predict", str(run.folder), one, "-o", "-")
    found["the run itself"] = {"start-up, s": round(min(process_seconds(*words) for _ in range(3)), 2)}
    return found


def process_seconds(*words: str) -> float:
    """Return the seconds that a command takes from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "horngate.cli", "-q", *words], check=True, capture_output=True)
    return time.perf_counter() - started


ROWS = {"forward": forward_row, "features": features_row, "formats": formats_row}

if __name__ == "__main__":
    for name in sys.argv[1:] or ROWS:
        keep("runtimes", name, ROWS[name]())
