"""Transfer learning on flowers5 against plain Keras and scikit-learn, on the same rows, in one script.

    HORNGATE_DATA=… python benchmarks/vision_probe.py [ROW ...]

Rows: probe-160 probe-224 finetune-160 scratch-160 speed step digits (default: all). Scores are on the given test rows, which
nothing is chosen on; validation is set aside from the training rows, by group. The weights are a de-quantised
MobileNetV2. Results are merged into benchmarks/results/vision_probe.json and shown as a table.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CACHE = tempfile.mkdtemp()
os.environ["HORNGATE_CACHE"] = CACHE  # an empty cache: what is measured is computed

import numpy as np  # noqa: E402
from bench import DATA, FLOWERS, keep  # noqa: E402

WEIGHTS = DATA / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"


def flowers_card(**knobs):
    """Return the card of a run on flowers5 with the pretrained MobileNetV2."""
    from horngate.pipelines.vision import Classify

    given = {"split_column": "split", "group_column": "group", "backbone": "mobilenet_v2", "weights": str(WEIGHTS)}
    return Classify(data=str(FLOWERS / "split.csv"), output=tempfile.mkdtemp(), **given | knobs)


def probe_row(size: int) -> dict:
    """Probe with and without refit, beside scikit-learn's logistic regression on the same features and rows."""
    from horngate.pipelines import train

    plain = train(flowers_card(image_size=size, method="probe"))
    refit = train(flowers_card(image_size=size, method="probe", refit=True))
    return {
        "probe": accuracy(plain),
        "probe, refit": accuracy(refit),
        "logistic regression": reference(plain, size, ("train",)),
        "logistic regression, refit": reference(plain, size, ("train", "validation")),
    }


def reference(run, size: int, learnt: tuple[str, ...]) -> float:
    """Return the test accuracy of scikit-learn's defaults on features that plain Keras computes of the run's rows."""
    from sklearn.linear_model import LogisticRegression

    splits = run.splits.to_pydict()
    features, targets, sides = plain_features(splits["id"], size), np.array(splits["target"]), np.array(splits["split"])
    rows, test = np.isin(sides, learnt), sides == "test"
    model = LogisticRegression(max_iter=5000).fit(features[rows], targets[rows])
    return float(model.score(features[test], targets[test]))


def plain_features(names: list[str], size: int) -> np.ndarray:
    """Return features of the named pictures through keras.applications, read by horngate's reader."""
    backbone = plain_backbone(size)
    pixels = read_pixels(names, size)
    return backbone.predict(pixels.astype("float32") / 127.5 - 1, batch_size=32, verbose=0)


def plain_backbone(size: int):
    """Return the pooled MobileNetV2 as a Keras user would open it."""
    import keras

    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    backbone.load_weights(WEIGHTS)
    return backbone


def read_pixels(names: list[str], size: int) -> np.ndarray:
    """Return uint8 [n, size, size, 3]."""
    from horngate.pipelines.images.reader import Reader

    reader = Reader(size)
    return np.stack([reader.read((FLOWERS / name).read_bytes()) for name in names])


def accuracy(run) -> dict:
    """Return value and interval of the test accuracy, with the seconds of the phases."""
    score = run.summary["metrics"]["test"]["accuracy"]
    return {name: score[name] for name in ("value", "low", "high")} | {"seconds": run.summary["costs_seconds"]}


def finetune_row() -> dict:
    """Fine-tune from the probed head, with crops and mirror images, beside the probe of the same rows."""
    from horngate.pipelines import train

    card = flowers_card(image_size=160, method="finetune", augment="light", flip="horizontal")
    return {"probe": accuracy(train(replace(card, method="probe"))), "finetune": accuracy(train(card))}


def scratch_row() -> dict:
    """Learn the same MobileNetV2 from a random start, ten epochs, as many as fine-tuning takes."""
    from horngate.pipelines import train

    card = flowers_card(image_size=160, method="scratch", augment="light", flip="horizontal", epochs=10, weights="none")
    return {"scratch": accuracy(train(card))}


def speed_row() -> dict:
    """Ten epochs of a probe against ten epochs of `fit` on the frozen backbone, reading from the same files."""
    import keras
    import tensorflow as tf

    from horngate.pipelines import train

    run = train(flowers_card(image_size=160, method="probe", epochs=10))
    splits = run.splits.to_pydict()
    sides, ids = np.array(splits["split"]), np.array(splits["id"], dtype=object)
    names = sorted(set(splits["target"]))
    targets = np.array([names.index(name) for name in splits["target"]])

    def dataset(rows: np.ndarray, shuffle: bool):
        def decode(path, target):
            picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
            return tf.image.resize(picture, (160, 160), antialias=True) / 127.5 - 1, target

        paths = [str(FLOWERS / name) for name in ids[rows]]
        data = tf.data.Dataset.from_tensor_slices((paths, targets[rows]))
        data = data.shuffle(len(paths), seed=0) if shuffle else data
        return data.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)

    keras.utils.set_random_seed(0)
    backbone = plain_backbone(160)
    backbone.trainable = False
    model = keras.Sequential([backbone, keras.layers.Dense(len(names))])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    started = time.monotonic()
    model.fit(
        dataset(sides == "train", True), epochs=10, validation_data=dataset(sides == "validation", False), verbose=0
    )
    plain = time.monotonic() - started
    _, score = model.evaluate(dataset(sides == "test", False), verbose=0)
    ours = run.summary["costs_seconds"]["probe"]
    return {
        "horngate": accuracy(run),
        "plain keras": {"value": float(score), "seconds": round(plain, 1)},
        "times faster": round(plain / ours, 1),
    }


def step_row(steps: int = 40, rounds: int = 3) -> dict:
    """A fine-tuning step with reading and random views against the same step in plain Keras on pixels in memory."""
    import keras

    from horngate.models import network
    from horngate.models.backbones.pictures import picture_encoder
    from horngate.models.training import transfer
    from horngate.models.training.learning import CheckpointPolicy
    from horngate.pipelines.data.sources.blocks import block
    from horngate.pipelines.images.reader import Change, Reader
    from horngate.pipelines.system import device
    from horngate.pipelines.training.rows import ReadRows

    device.set_up()
    names = [str(path) for path in sorted(FLOWERS.glob("*/*.jpg"))[:: 4054 // (32 * steps)]][: 32 * steps]
    targets = np.eye(5, dtype="float32")[np.arange(len(names)) % 5]
    pixels = read_pixels(names, 160)
    table = block({"id": names, "input": [name.encode() for name in names]})
    reader = SimpleNamespace(
        card=SimpleNamespace(seed=0),
        read=lambda data, seed: Reader(160).read(data, seed and Change("light", "horizontal", seed)),
        collate=lambda tensors, rows=None: np.stack(tensors),
        size_of=None,
    )
    rows, none = ReadRows(reader, table, targets), ReadRows(reader, table.slice(0, 0), targets[:0])

    def ours(epochs: int) -> float:
        encoder = picture_encoder("mobilenet_v2", str(WEIGHTS), 160, None, 32)
        built = network.Network.around(encoder, 5, False)
        stamps = []
        policy = CheckpointPolicy(stepped=lambda phase, step, steps: stamps.append(time.monotonic()))
        transfer.finetune(built, rows, none, transfer.Settings(False, 0, epochs, 32), policy)
        return (stamps[-1] - stamps[5]) / (len(stamps) - 6)

    def plain() -> float:
        backbone = plain_backbone(160)
        network.thaw(backbone, norms=False)
        inputs = keras.Input((160, 160, 3), dtype="uint8")
        scaled = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
        logits = keras.layers.Dense(5)(keras.layers.Dropout(0.2)(backbone(scaled)))
        model = keras.Model(inputs, logits)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
        model.compile(optimizer=keras.optimizers.AdamW(1e-4, weight_decay=0.05), loss=loss, metrics=["accuracy"])
        stamps = []
        watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stamps.append(time.monotonic()))
        model.fit(pixels, targets, batch_size=32, epochs=1, verbose=0, callbacks=[watch])
        return (stamps[-1] - stamps[5]) / (len(stamps) - 6)

    pairs = [(ours(1), plain()) for _ in range(rounds)]
    ratios = [mine / theirs for mine, theirs in pairs]
    return {
        "horngate, ms": round(1000 * float(np.median([mine for mine, _ in pairs])), 1),
        "plain keras, ms": round(1000 * float(np.median([theirs for _, theirs in pairs])), 1),
        "ratio": round(float(np.median(ratios)), 3),
    }


def digits_row() -> dict:
    """The demo's training: sample:digits with the recipe `digits`."""
    from horngate.pipelines import train
    from horngate.pipelines.spec.recipe import merged
    from horngate.pipelines.vision import Classify

    run = train(merged(Classify, "digits", flags={"output": tempfile.mkdtemp()}))
    return {"scratch": accuracy(run), "seconds": run.summary["seconds"]}


ROWS = {
    "probe-160": lambda: probe_row(160),
    "probe-224": lambda: probe_row(224),
    "finetune-160": finetune_row,
    "scratch-160": scratch_row,
    "speed": speed_row,
    "step": step_row,
    "digits": digits_row,
}


def main() -> None:
    """Run the wished rows and keep what they found."""
    for name in sys.argv[1:] or ROWS:
        keep("vision_probe", name, ROWS[name]())


if __name__ == "__main__":
    main()
