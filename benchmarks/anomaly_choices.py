"""What `auto` averages, and how patches are made, chosen on training rows alone; each row can be cut.

    HORNGATE_DATA=… python benchmarks/anomaly_choices.py [tables | series | pictures ...]

The defaults of horngate's detectors are these choices; no test row of benchmarks/anomaly.py is looked at to make them.

tables: of each table of ADBench and each seed, the training part of benchmarks/anomaly.py is split 70/30 once more. The
detectors without a gradient are fitted on the larger part, and every mixture of a grid is scored on the smaller one. Of
all that lie within .002 of the best mean AUROC the choice is the one that trusts its least member most: each finds
anomalies that the others are blind to. `left out` holds this against tables it wasn't chosen on: for each table, the
mixture that the *other* tables choose is scored on its test part, beside the rivals.
series: of every sixth file of NAB and SKAB, the training part. Detectors learn from its first 60 %; anomalies of six
kinds are put into copies of the rest, one at a time, as Goswami et al. 2023 (arXiv 2210.01078) choose detectors. Each lasts
half of that rest, since both sets speak of long ones: a file of NAB has a tenth of its rows in labelled windows, one of
SKAB a third. The mean VUS-PR over both sets chooses window, smoothing, what is averaged and how. Networks, which take
minutes, are left out of what `auto` averages.
pictures: of the 300 normal magnetic tiles that are learnt from, 240 are learnt; the other 60 are scored as they are and
with patches of their own pasted elsewhere (CutPaste, Li et al. 2021) or blots and lines drawn into them.

Results are merged into benchmarks/results/anomaly_choices.json.
"""

import itertools
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from anomaly import ANOMALY, arrays, sides
from anomaly_pictures import LEARNT, TILES, WEIGHTS
from bench import keep

SEEDS = (0, 1, 2)
NEAR = (5, 10, 20, 40)  # neighbours
SHARES = (0.0, 0.2, 0.5, 1.0, 2.0)  # weights of the members of a mixture
ALIKE = 0.002  # of AUROC, by which mixtures are as good as the best
INJECTED = 6  # kinds of anomaly put into a series
MEANS = {  # of what several detectors say
    "arithmetic": lambda scores: scores.mean(0),
    "geometric": lambda scores: np.exp(np.log(np.maximum(scores, 1e-6)).mean(0)),
}
QUICK = ("linear", "nearest", "pca")  # detectors of series that learn in seconds
SIDE = 224  # pixels of a tile


def auroc(strange: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(strange, scores))


# Tables


def opinions(rows: np.ndarray, strange: np.ndarray, protocol: str, asked: np.ndarray, seed: int) -> dict:
    """Return the standings `[n]` of asked rows by each detector that was fitted on `rows`, as horngate fits them."""
    from horngate.models.anomaly.detectors import Standing, axes, in_parts, neighbours
    from horngate.models.anomaly.trees import isolation_forest
    from horngate.models.columns import columns_layer
    from horngate.pipelines.anomaly.table.learner import STORED

    order = np.random.default_rng(seed).permutation(len(rows))
    learnt, held = np.sort(order[len(rows) // 10 :]), np.sort(order[: len(rows) // 10])
    if protocol == "one-class":
        learnt, held = learnt[~strange[learnt]], held[~strange[held]]
    columns = columns_layer(rows[learnt].astype(np.float64), [0] * rows.shape[1])
    train, usual, looked = (in_parts(columns, part.astype(np.float32)) for part in (rows[learnt], rows[held], asked))
    made = {"forest": isolation_forest(train, seed), "pca": axes(train)}
    made |= {f"knn-{k}": neighbours(train, k, STORED, seed) for k in NEAR}
    found = {}
    for name, detector in made.items():
        standing = Standing(columns.sources)
        standing.build((None, 1 + train.shape[1]))
        standing.fit(in_parts(detector, usual)[:, 0])
        found[name] = in_parts(lambda part, d=detector, s=standing: s(d(part)), looked)[:, 0]
    return found


def mixtures() -> list[tuple[int, tuple[float, float, float]]]:
    """Return (neighbours, weights of forest, knn and pca) of the grid, each ratio once."""
    seen = {}
    for k, shares in itertools.product(NEAR, itertools.product(SHARES, repeat=3)):
        if total := sum(shares):
            seen.setdefault((k, tuple(round(share / total, 6) for share in shares)), (k, shares))
    return list(seen.values())


def mixed(said: dict, mixture: tuple) -> np.ndarray:
    """Return the scores of a mixture."""
    k, (forest, knn, pca) = mixture
    return forest * said["forest"] + knn * said[f"knn-{k}"] + pca * said["pca"]


def tables() -> dict:
    """Return the chosen mixture of each protocol, and what it gives on tables that it wasn't chosen on."""
    return {protocol: chosen_for(protocol) for protocol in ("contaminated", "one-class")}


def chosen_for(protocol: str) -> dict:
    """Return the best mixture on training parts, the next ones, and the score on left out tables."""
    grid = mixtures()
    files = sorted((ANOMALY / "adbench").glob("*.npz"), key=lambda file: file.stat().st_size)
    inner, outer, rivals = (np.zeros((len(files), width)) for width in (len(grid), len(grid), 4))
    for place, seed in itertools.product(range(len(files)), SEEDS):
        rows, strange = arrays(files[place])
        train, test = sides(strange, seed)
        own, asked = sides(strange[train], seed)
        own, asked = train[own], train[asked]
        for table, learnt, scored in ((inner, own, asked), (outer, train, test)):
            said = opinions(rows[learnt], strange[learnt], protocol, rows[scored], seed)
            table[place] += [auroc(strange[scored], mixed(said, mixture)) for mixture in grid]
        rivals[place] += rivals_of(rows, strange, train, test, protocol, seed)
        print(protocol, files[place].stem, seed, flush=True)
    inner, outer, rivals = (found / len(SEEDS) for found in (inner, outer, rivals))
    chosen = choice(grid, inner.mean(0))
    others = [choice(grid, np.delete(inner, place, 0).mean(0)) for place in range(len(files))]
    shown = [chosen, *np.argsort(-inner.mean(0), kind="stable")[:10]]
    return {
        "chosen": described(grid[chosen]),
        "training parts": {describe(grid[one]): round(float(inner[:, one].mean()), 4) for one in shown},
        "left out": {
            "mixture of the other tables": round(float(np.mean([outer[at, one] for at, one in enumerate(others)])), 4),
            **dict(zip(("isolation_forest", "ecod", "knn", "pca"), rivals.mean(0).round(4).tolist(), strict=True)),
        },
    }


def choice(grid: list[tuple], scores: np.ndarray) -> int:
    """Return the mixture that trusts its least member most, of those whose scores `[n]` are as good as the best."""
    good = np.flatnonzero(scores >= scores.max() - ALIKE)
    least = [(min(grid[one][1]) / sum(grid[one][1]), scores[one], one) for one in good]
    return int(max(least)[-1])


def rivals_of(rows, strange, train, test, protocol, seed) -> list[float]:
    """Return the test AUROC of isolation forest, ECOD, kNN and PCA."""
    from horngate.pipelines.anomaly.table.baselines import fitted_baselines

    learnt = train[~strange[train]] if protocol == "one-class" else train
    made = fitted_baselines(rows[learnt], [0] * rows.shape[1], seed)
    return [auroc(strange[test], made[name](rows[test])) for name in ("isolation_forest", "ecod", "knn", "pca")]


def described(mixture: tuple) -> dict:
    """Return a mixture by names."""
    k, shares = mixture
    return {"neighbours": k, **dict(zip(("forest", "knn", "pca"), shares, strict=True))}


def describe(mixture: tuple) -> str:
    """Return a mixture in one line."""
    return ", ".join(f"{name} {value:g}" for name, value in described(mixture).items())


# Series


def windows(values: np.ndarray, size: int) -> np.ndarray:
    """Return the trailing window of each row, float32 `[n, w, d]`, NaN before the begin."""
    padded = np.concatenate([np.full((size - 1, values.shape[1]), np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=0).transpose(0, 2, 1).astype(np.float32)


def injected(values: np.ndarray, kind: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return values `[n, d]` with an anomaly of one kind in half of the rows, and which rows they are."""
    values, rows = values.copy(), len(values) // 2
    begin = int(draw.integers(len(values) // 5, len(values) - rows))
    own = slice(begin, begin + rows)
    touched = draw.permutation(values.shape[1])[: max(1, values.shape[1] // 2)]
    spread = np.nanstd(values, 0) + 1e-6
    for column in touched:
        part = values[own, column]
        if kind == 0:  # spikes
            part[draw.random(rows) < 0.2] += draw.choice([-4.0, 4.0]) * spread[column]
        elif kind == 1:  # level
            part += draw.choice([-2.0, 2.0]) * spread[column]
        elif kind == 2:  # noise
            part += draw.normal(0, 1.5 * spread[column], rows)
        elif kind == 3:  # stands still
            part[:] = part[0]
        elif kind == 4:  # goes faster
            part[:] = values[np.clip(begin + 3 * np.arange(rows), 0, len(values) - 1), column]
        else:  # swings more widely
            part[:] = np.nanmean(part) + 2.5 * (part - np.nanmean(part))
        values[own, column] = part
    marked = np.zeros(len(values), bool)
    marked[own] = True
    return values, marked


def training_parts(name: str) -> dict[str, np.ndarray]:
    """Return the training rows float64 `[n, d]` of every sixth file: 15 % of NAB's, 400 of SKAB's."""
    from anomaly_series import nab_files, skab_files

    found = {}
    for file, rows in list((nab_files() if name == "nab" else skab_files()).items())[::6]:
        rows = rows[: int(0.15 * len(rows))] if name == "nab" else rows[:400]
        names = [column for column in rows[0] if column not in ("timestamp", "datetime", "target", "split")]
        values = np.array([[float(row[column]) for column in names] for row in rows])
        values = values[:, values[: int(0.6 * len(values))].std(0) > 0]
        if values.shape[1] and len(values) >= 150:
            found[file] = values
    return found


def scores_of(values: np.ndarray, window: int, smooth: int, kinds: tuple) -> dict[str, list[tuple]]:
    """Return (scores, marked rows) of each anomaly that was put into the last 40 %, by detector."""
    from horngate.models.anomaly.window_learning import WindowConfig, learnt, moments
    from horngate.models.training.learning import CheckpointPolicy

    cut, until = int(0.5 * len(values)), int(0.6 * len(values))
    every = max(1, window // 16)
    parts = windows(values, window)
    found = {}
    for kind in kinds:
        train, held = parts[:cut:every], parts[cut:until:every]
        detector, _ = learnt(kind, train, held, moments(values[:cut]), WindowConfig(smooth, 0), CheckpointPolicy())
        found[kind] = []
        for number in range(INJECTED):
            spoilt, marked = injected(values[until:], number, np.random.default_rng((0, number)))
            asked = windows(np.concatenate([values[:until], spoilt]), window)[until:]
            said = np.concatenate([np.asarray(detector(asked[at : at + 256])) for at in range(0, len(asked), 256)])
            found[kind].append((said[:, 0], marked))
    return found


def series() -> dict:
    """Return the mean VUS-PR of each detector and of means of several, by window and smoothing; and on both."""
    found = {name: series_of(name) for name in ("nab", "skab")}
    joint = {key: round((value + found["skab"][key]) / 2, 4) for key, value in found["nab"].items()}
    return found | {"both": dict(sorted(joint.items(), key=lambda pair: -pair[1]))}


def series_of(name: str) -> dict:
    """Return mean VUS-PR by window, smoothing and members, the best first."""
    from horngate.pipelines.metrics.anomaly.ranges import vus_pr

    sizes = [(window, smooth) for window in (32, 64, 128) for smooth in (window // 4, 3 * window // 4)]
    found: dict[str, list[float]] = {}
    for file, values in training_parts(name).items():
        for window, smooth in sizes:
            said = scores_of(values, window, smooth, QUICK)
            sets = [own for size in (1, 2, 3) for own in itertools.combinations(QUICK, size)]
            for own, number, mean in itertools.product(sets, range(INJECTED), MEANS):
                if len(own) == 1 and mean != "arithmetic":
                    continue
                joint = MEANS[mean](np.stack([said[kind][number][0] for kind in own]))
                marked = said[own[0]][number][1]
                one = np.zeros(len(marked), int)
                value = vus_pr(marked, joint, one, one, len(marked) // 10)(np.ones(len(marked)))
                key = f"window {window}, smooth {smooth}: {' + '.join(own)}{', geometric' * (mean == 'geometric')}"
                found.setdefault(key, []).append(value)
        print(name, file, flush=True)
    means = {key: round(float(np.mean(values)), 4) for key, values in found.items()}
    return dict(sorted(means.items(), key=lambda pair: -pair[1]))


# Pictures


def spoilt(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return a picture uint8 `[s, s, 3]` with a defect: a piece of itself elsewhere, a blot, or a line."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    pen, kind = ImageDraw.Draw(image), int(draw.integers(3))
    width, height = (int(size) for size in draw.integers(6, 40, 2))
    x, y = (int(place) for place in draw.integers(10, SIDE - 50, 2))
    shade = int(np.clip(picture.mean() + draw.choice([-1, 1]) * draw.uniform(30, 70), 0, 255))
    if kind == 0:
        from_x, from_y = (int(place) for place in draw.integers(0, SIDE - 40, 2))
        piece = image.crop((from_x, from_y, from_x + width, from_y + height)).rotate(90, expand=True)
        image.paste(piece, (x, y))
    elif kind == 1:
        pen.ellipse((x, y, x + width // 2 + 3, y + height // 2 + 3), fill=(shade,) * 3)
    else:
        points = [
            (x + int(step), y + int(turn)) for step, turn in zip((0, 15, 40), draw.integers(-8, 40, 3), strict=True)
        ]
        pen.line(points, fill=(shade,) * 3, width=int(draw.integers(1, 4)))
    return np.asarray(image)


def pictures() -> dict:
    """Return the AUROC of PatchCore and PaDiM on defects made in held-out tiles, by stride and scaling of patches."""
    import keras
    from PIL import Image

    from horngate.models.backbones.pictures import picture_backbone
    from horngate.models.vision.patches import Patches, patch_encoder

    class Unscaled(Patches):
        def scaled(self, grid):
            return grid

    files = sorted((TILES / "Free").glob("*.jpg"))[:LEARNT]
    tiles = np.stack([np.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE))) for file in files])
    order = np.random.default_rng(0).permutation(LEARNT)
    train, held = tiles[np.sort(order[60:])], tiles[np.sort(order[:60])]
    draw = np.random.default_rng(1)
    asked = np.concatenate([held, [spoilt(tile, draw) for tile in held]])
    truth = np.arange(len(asked)) >= len(held)
    found = {}
    for finest in (8, 16):
        backbone, scaling, side = picture_backbone("mobilenet_v2", str(WEIGHTS), SIDE, None, SIDE)[:3]
        scaled = patch_encoder(backbone, scaling, side, finest)
        maps = scaled.get_layer("joined").input
        plain = keras.Model(scaled.input, Unscaled()(maps))
        for name, encoder in (("length 1", scaled), ("as they are", plain)):
            for detector, score in both(encoder, train, asked).items():
                found[f"{detector}, strides {finest} and {2 * finest}, {name}"] = round(auroc(truth, score), 4)
                print(list(found.items())[-1], flush=True)
    return found


def both(encoder, train: np.ndarray, asked: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of asked pictures by PatchCore and PaDiM on an encoder."""
    from horngate.models.anomaly.padim import padim
    from horngate.models.anomaly.patch_core import coreset, patch_core
    from horngate.pipelines.anomaly.image.fitting import CHANNELS

    patches = [np.asarray(encoder.predict_on_batch(train[at : at + 8])) for at in range(0, len(train), 8)]
    flat = np.concatenate(patches).reshape(-1, patches[0].shape[-1])
    some = flat[np.random.default_rng(0).permutation(len(flat))[:60_000]]
    models = {
        "patchcore": patch_core(encoder, some[coreset(some, max(1000, len(flat) // 100), 0)]),
        "padim": padim(encoder, iter(patches), CHANNELS, 0),
    }
    parts = [asked[at : at + 8] for at in range(0, len(asked), 8)]
    return {
        name: np.concatenate([np.asarray(model.predict_on_batch(part))[:, 0] for part in parts])
        for name, model in models.items()
    }


if __name__ == "__main__":
    for row in sys.argv[1:] or ("tables", "series", "pictures"):
        keep("anomaly_choices", row, {"tables": tables, "series": series, "pictures": pictures}[row]())
