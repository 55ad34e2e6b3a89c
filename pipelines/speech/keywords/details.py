"""What a keyword report says beside the scores: speakers, noise, and what an answer costs."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import binomtest

from horngate.pipelines.speech.audio.views import noisy

RATIOS = (20.0, 10.0, 5.0, 0.0)  # decibels of speech to noise
NOISES = {"white noise": 0.0, "pink noise": 1.0}  # name -> how its spectrum falls
MOST_HEARD = 1000  # rows that noise is added to
WORST = 30  # speakers
TIMED = 30  # passes


def by_speaker(groups: list[str | None], right: np.ndarray) -> list[dict[str, Any]]:
    """Return rows and accuracy of each group with its exact binomial interval (Clopper & Pearson 1934), worst first.

    Args:
        groups: of each row; rows without one are left out.
        right: bool `[n]`.
    """
    found = []
    names = np.array([group if group is not None else "" for group in groups], dtype=object)
    for name in sorted({group for group in groups if group is not None}):
        rows = names == name
        hits, count = int(right[rows].sum()), int(rows.sum())
        span = binomtest(hits, count).proportion_ci(method="exact")
        part = {"speaker": name, "rows": count, "accuracy": hits / count}
        found.append(part | {"low": float(span.low), "high": float(span.high)})
    return sorted(found, key=lambda part: (part["accuracy"], part["speaker"]))


def in_noise(tensors: list[np.ndarray], right: Callable[[np.ndarray], np.ndarray], seed: int) -> dict[str, Any]:
    """Return accuracy without noise and with noises behind the same rows: `clean`, `rows`, `sweep`.

    Args:
        tensors: what the model hears of each row, float32 `[samples]`.
        right: takes all of them, float32 `[n, samples]`; returns bool `[n]`.
    """
    plain = np.stack(tensors)
    sweep = []
    for name, slope in NOISES.items():
        for ratio in RATIOS:
            draws = (np.random.default_rng((seed, row)) for row in range(len(plain)))
            heard = [noisy(row, ratio, slope, draw) for row, draw in zip(plain, draws, strict=True)]
            share = float(right(np.stack(heard).astype(np.float32)).mean())
            sweep.append({"noise": name, "snr": ratio, "accuracy": share})
    return {"clean": float(right(plain).mean()), "rows": len(plain), "sweep": sweep}


def cost_of(core: Any, seconds: float, samples: int) -> dict[str, Any]:
    """Return what a Keras model costs: parameters, multiply-adds, milliseconds and real-time factor of one clip by itself.

    Args:
        seconds: that one clip lasts.
        samples: that one clip has.
    """
    from horngate.models.costs import multiply_adds

    clip = np.random.default_rng(0).normal(0, 0.05, (1, samples)).astype(np.float32)
    for _ in range(3):
        core.predict_on_batch(clip)
    taken = []
    for _ in range(TIMED):
        started = time.perf_counter()
        core.predict_on_batch(clip)
        taken.append(time.perf_counter() - started)
    middle = float(np.median(taken))
    return {
        "parameters": int(core.count_params()),
        "multiply_adds": multiply_adds(core),
        "milliseconds": 1000 * middle,
        "real_time_factor": middle / seconds,
        "seconds_heard": seconds,
    }


def speakers_table(speakers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the worst speakers as a table of a page."""
    shown = speakers[:WORST]
    said = f"The {len(shown)} worst of {len(speakers)} speakers; intervals are exact binomial ones over their rows."
    rows = [[part["speaker"], part["rows"], part["accuracy"], part["low"], part["high"]] for part in shown]
    columns = ["speaker", "rows", "accuracy", "95 % interval from", "to"]
    return {"title": "Speakers", "said": said, "columns": columns, "rows": rows}


def tables(details: dict[str, Any]) -> list[dict[str, Any]]:
    """Return noise and costs as tables of a page, where a report's details hold them."""
    found = []
    noise, costs = details.get("noise"), details.get("costs")
    if noise:
        rows = [
            [part["noise"], part["snr"], part["accuracy"], part["accuracy"] - noise["clean"]] for part in noise["sweep"]
        ]
        said = f"Accuracy of {noise['rows']:,} rows with noise added to them; without it {noise['clean']:.4f}."
        columns = ["noise", "speech to noise, dB", "accuracy", "change"]
        found.append({"title": "In noise", "said": said, "columns": columns, "rows": rows})
    if costs:
        said = "One clip by itself, through Keras: the median of 30 passes on the machine of this evaluation."
        columns = ["parameters", "multiply-adds", "milliseconds", "seconds heard", "real-time factor"]
        names = ("parameters", "multiply_adds", "milliseconds", "seconds_heard", "real_time_factor")
        found.append({"title": "Costs", "said": said, "columns": columns, "rows": [[costs[name] for name in names]]})
    return found
