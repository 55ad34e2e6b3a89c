"""Spoken digits (Free Spoken Digit Dataset): the official split, one speaker left out, noise, streaming and reading.

    HORNGATE_DATA=… python benchmarks/speech.py [ROW ...]

Rows: fsdd fsdd-speakers fsdd-noise streaming reading (default: all). Official: takes 0 to 4 are the test, takes 9, 19, … the
validation rows. One speaker left out: all their takes are the test, the same takes of the five others validation. The knobs
were chosen with another speaker held out as validation, the steps of learning on validation takes. Runs lie in
$HORNGATE_BENCH_RUNS (default: below the temporary folder) and are gone on with. Results are merged into
benchmarks/results/speech.json.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-speech"))
CLIPS = DATA / "speech" / "fsdd" / "recordings"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
HOP = 0.1  # seconds between windows of a stream
RATE = 8000


def table(left_out: str | None) -> Path:
    """Write a table of all clips with their split, by takes or by the speaker who is left out."""
    path = WORK / f"{left_out or 'official'}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for clip in sorted(CLIPS.glob("*.wav")):
        digit, speaker, take = clip.stem.split("_")
        held = speaker == left_out if left_out else int(take) < 5
        split = "test" if held else "validation" if int(take) % 10 == 9 else "train"
        rows.append([str(clip), digit, speaker, split])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "speaker", "split"], *rows])
    return path


def card(left_out: str | None):
    from horngate.pipelines.speech import Keywords

    name = left_out or "official"
    return Keywords(
        data=str(table(left_out)), output=str(WORK / name), split_column="split", allow_outside=True, seed=0
    )


def begun(left_out: str | None = None):
    """Train by a card, or go on with what an earlier call began."""
    from horngate.pipelines import train
    from horngate.pipelines.runs.run import list_runs

    folder = WORK / (left_out or "official")
    before = list_runs(folder) if folder.is_dir() else []
    return train(resume=before[-1]) if before else train(card(left_out))


def report_of(run) -> dict:
    return json.loads((run / "evaluation" / "test" / "report.json").read_text())


def scores_of(run) -> dict:
    """Return value, low and high of each score on the test, what the rival scores, and the seconds of learning."""
    report = report_of(run)
    found = {name: [score["value"], score["low"], score["high"]] for name, score in report["metrics"].items()}
    rival = report["references"]["mfcc_kernel_ridge"]["accuracy"]["value"]
    costs = {name: report["details"]["costs"][name] for name in ("parameters", "multiply_adds", "real_time_factor")}
    facts = {"rows": report["rows"], "mfcc_kernel_ridge": rival, "seconds": run.summary["costs_seconds"]}
    return found | facts | costs


def official() -> dict:
    found = begun()
    slices = {part["value"]: part["metrics"]["accuracy"]["value"] for part in report_of(found)["slices"]}
    return scores_of(found) | {"accuracy by speaker": slices}


def speakers() -> dict:
    """Return the accuracy on each speaker whom the model never heard, their mean, and the rival's."""
    found = {speaker: scores_of(begun(speaker)) for speaker in SPEAKERS}
    accuracies = {speaker: scores["accuracy"][0] for speaker, scores in found.items()}
    rivals = {speaker: scores["mfcc_kernel_ridge"] for speaker, scores in found.items()}
    seconds = {speaker: scores["seconds"] for speaker, scores in found.items()}
    means = {"mean accuracy": float(np.mean(list(accuracies.values())))}
    means |= {"worst": min(accuracies.values()), "mean of mfcc_kernel_ridge": float(np.mean(list(rivals.values())))}
    return means | {"accuracy": accuracies, "mfcc_kernel_ridge": rivals, "seconds": seconds}


def in_noise() -> dict:
    """Return the accuracy on the official test rows with noise added to them."""
    noise = report_of(begun())["details"]["noise"]
    return noise | {
        "change at 10 dB": {p["noise"]: p["accuracy"] - noise["clean"] for p in noise["sweep"] if p["snr"] == 10}
    }


def streaming() -> dict:
    """Stream five minutes of test clips on one core, in a process of its own."""
    run = begun()
    done = subprocess.run(
        [sys.executable, __file__, "alone", str(run.folder)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def alone(folder: str) -> None:
    """Print how far streamed scores are from offline ones, and the real-time factor of streaming, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from horngate.pipelines.speech.keywords import listen
    from horngate.pipelines.speech.keywords.streaming import Windows

    task, samples = listen._opened(folder), recording()
    length, hop = task.fitted.schema["samples"], round(HOP * RATE)
    whole = Windows(length, hop)
    offline = listen.scores_of(task, np.concatenate([whole.push(samples), whole.end()]))
    for size in (1, 2, 4):  # traced once
        listen.scores_of(task, np.zeros((size, length), np.float32))
    found = {"seconds streamed": len(samples) / RATE, "windows": len(offline)}
    for name, size in (("pieces of 0.1 s", hop), ("pieces of 1 s", RATE)):
        pieces = ((samples[at : at + size], RATE) for at in range(0, len(samples), size))
        started = time.perf_counter()
        parts = [listen.scores_of(task, clips) for clips in listen.cut(pieces, Windows(length, hop), RATE)]
        taken = time.perf_counter() - started
        difference = float(np.abs(np.concatenate(parts) - offline).max())
        found[name] = {"real_time_factor": taken * RATE / len(samples), "max_abs_difference": difference}
    print(json.dumps(found))


def recording(seconds: float = 300.0) -> np.ndarray:
    """Return test clips with pauses between them and a little noise behind, float32 at 8,000 samples a second."""
    from horngate.pipelines.speech.audio.decoding import sound_of

    draw = np.random.default_rng(0)
    clips = [clip for clip in sorted(CLIPS.glob("*.wav")) if int(clip.stem.split("_")[2]) < 5]
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        clip = clips[draw.integers(len(clips))]
        parts += [sound_of(clip.read_bytes(), 60.0).samples, np.zeros(int(draw.uniform(0.3, 2) * RATE), np.float32)]
    joined = np.concatenate(parts)
    return joined + draw.normal(0, 0.001, len(joined)).astype(np.float32)


def reading() -> dict:
    """Compare how fast all clips are read as random views with how fast the model learns from what it holds."""
    from horngate.models.training import transfer
    from horngate.models.training.optimizer import adamw
    from horngate.pipelines.system import device
    from horngate.pipelines.tasks.classification.labels import Labels
    from horngate.pipelines.tasks.task import task_of
    from horngate.pipelines.training.rows import ReadRows

    wished = card(None)
    device.set_up("auto", "auto", 0)
    task = task_of(wished)
    seen = task.rows.survey()
    task = task.with_fitted(task.reader.fit_schema(seen.facts))
    labels = Labels.learnt(seen.table["target"].to_pylist(), wished)
    rows = ReadRows(task.reader, seen.table, labels.encode(seen.table["target"].to_pylist()))
    batches = np.array_split(np.arange(rows.count), rows.count // 32)
    found = {"rows": rows.count}
    for epoch, name in enumerate(("first epoch", "later epoch")):
        started = time.perf_counter()
        for batch in batches:
            read = rows.batch(batch, epoch)
        found[f"rows a second, {name}"] = rows.count / (time.perf_counter() - started)
    network = task.learner.build(task.fitted.having(decisions=labels)).model
    network.compile(adamw(1e-3, 1000, 0.05, 0.05), transfer.SMOOTHING)
    steps = []
    for _ in range(30):
        started = time.perf_counter()
        network.logits.train_on_batch(*read[:2])
        steps.append(time.perf_counter() - started)
    found["rows a second, learning"] = len(read[0]) / float(np.median(steps))
    found["times as fast"] = {
        name: found[f"rows a second, {name}"] / found["rows a second, learning"]
        for name in ("first epoch", "later epoch")
    }
    return found


ROWS = {
    "fsdd": official,
    "fsdd-speakers": speakers,
    "fsdd-noise": in_noise,
    "streaming": streaming,
    "reading": reading,
}


if __name__ == "__main__":
    wished = sys.argv[1:] or list(ROWS)
    if wished[0] == "alone":
        alone(wished[1])
        sys.exit()
    if unknown := [row for row in wished if row not in ROWS]:
        sys.exit(f"no row {unknown[0]}. Rows: {', '.join(ROWS)}")
    for row in wished:
        keep("speech", row, ROWS[row]())
