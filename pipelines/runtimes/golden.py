"""Golden rows: real tensors with their run's outputs and answers, which an exported model has to give again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.runs.bundle import Bundle
from horngate.pipelines.system.files import read_json, whole
from horngate.pipelines.tasks.parts import Serving
from horngate.pipelines.tasks.task import Task, task_of


@dataclass(frozen=True)
class Tolerance:
    """How far an export may be from its run: largest difference of an output, and least share of equal answers."""

    largest: float
    agreeing: float


TOLERANCES = {"float32": Tolerance(1e-4, 1.0), "float16": Tolerance(0.05, 0.95), "int8": Tolerance(0.3, 0.9)}


@dataclass(frozen=True)
class Parity:
    """How a bundle answered its golden rows.

    Attributes:
        rows: how many there are.
        differences: largest absolute difference by output.
        agreeing: share of rows with the same answer.
        problems: what is beyond tolerance, one line each; empty where all is well.
    """

    rows: int
    differences: dict[str, float]
    agreeing: float
    problems: list[str]


def write_golden(path: Path, task: Task, inputs: np.ndarray, labels: dict | None, serving: Serving | None) -> None:
    """Write tensors `[n, …]` with the outputs and answers that the run's own model gives.

    Args:
        labels: what the run's `labels.json` holds; None for a task without labels.
        serving: what answers encoded inputs too, for which each tensor is added in such a form; None where nothing does.
    """
    predictor = task.predictor
    parts = [predictor.forward(part) for part in _steps(inputs, predictor.batch_size)]
    outputs = np.concatenate(parts)[: len(inputs)]
    answers = np.array([json.dumps(row, ensure_ascii=False) for row in task.exporter.acted_on(outputs)])
    stored = {"inputs": inputs, "outputs": outputs, "answers": answers}
    if labels is not None:
        stored["labels"] = np.array(json.dumps(labels))
    if serving is not None:
        files = [serving.encode(row) for row in inputs]
        stored["encoded"] = np.frombuffer(b"".join(files), np.uint8)
        stored["lengths"] = np.array([len(file) for file in files])
    with whole(path) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, **stored)


def made_up(task: Task, count: int) -> np.ndarray:
    """Return made-up tensors `[count, …]` of the shape that the model takes, for golden rows where rows are private.

    Each is noise of its own level and width within the exporter's ranges (unbounded: 0 to 1), drawn from the card's seed.
    """
    entry, draw = task.predictor.core.inputs[0], np.random.default_rng(task.card.seed)
    low, high = task.exporter.ranges["inputs"]
    low, high = 0.0 if low is None else low, 1.0 if high is None else high
    shape = (count, *(length or 1 for length in entry.shape[1:]))
    levels = draw.uniform(size=(count, *(1,) * (len(shape) - 1)))
    widths = draw.uniform(0.05, 1, size=levels.shape)
    noise = levels + widths * (draw.uniform(size=shape) - 0.5)
    return (low + np.clip(noise, 0, 1) * (high - low)).astype(entry.dtype)


def replayed(bundle: Bundle) -> Parity:
    """Return how a bundle answers its golden rows now, in three steps, each with a fault of its own to find:

    the stored outputs must become the stored answers (labels, thresholds); the model file must give the stored outputs
    (weights, scaling, modes); what takes encoded inputs must give the stored answers too.

    Raises:
        UserError: the runtime is missing, or rejects the file.
    """
    task = task_of(bundle.card).recalled(bundle.folder)
    with np.load(bundle / "golden.npz", allow_pickle=False) as stored:
        golden = {name: stored[name] for name in stored.files}
    outputs, wanted = golden["outputs"], [json.loads(row) for row in golden["answers"].tolist()]
    problems = _decided_otherwise(task.exporter.acted_on(outputs), wanted)
    if not problems and "labels" in golden and read_json(bundle / "labels.json") != json.loads(str(golden["labels"])):
        problems.append("its labels.json is not that of the run")
    runtime = bundle.start()
    said = np.concatenate([runtime.run(part) for part in _steps(golden["inputs"], runtime.batch)])[: len(outputs)]
    differences = {"outputs": _apart(said, outputs)}
    if "encoded" in golden:
        labels, scores = runtime.serve(_cut(golden["encoded"], golden["lengths"]))
        differences["serving_default scores"] = _apart(scores, outputs)
        problems += _decided_otherwise(
            [row | {"label": label} for row, label in zip(wanted, labels, strict=True)], wanted
        )
    allowed = Tolerance(**bundle.facts["tolerance"])
    for name, apart in differences.items():
        if not apart <= allowed.largest:
            problems.append(f"{name} differ by up to {apart:.3g}; at most {allowed.largest:g} is accepted")
    answers = task.exporter.acted_on(said) if said.shape == outputs.shape else []
    agreeing = float(np.mean([row == other for row, other in zip(answers, wanted, strict=True)])) if answers else 0.0
    if not problems and allowed.agreeing < 1.0 and agreeing < allowed.agreeing:
        problems.append(f"only {agreeing:.0%} of the rows get the same answer; at least {allowed.agreeing:.0%} should")
    return Parity(len(outputs), differences, agreeing, problems)


def _decided_otherwise(answers: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[str]:
    """Return one line on the first answer that is not as wanted, if there is one."""
    for said, right in zip(answers, wanted, strict=True):
        for name, value in right.items():
            if said[name] != value:
                count = sum(row != other for row, other in zip(answers, wanted, strict=True))
                return [f"{count} of {len(wanted)} rows get another {name}, such as {said[name]} instead of {value}"]
    return []


def _steps(tensors: np.ndarray, size: int) -> list[np.ndarray]:
    """Return tensors in batches of `size`, the last one filled up with the first rows."""
    count = -(-len(tensors) // size)
    return np.split(np.resize(tensors, (count * size, *tensors.shape[1:])), count)


def _apart(said: np.ndarray, wanted: np.ndarray) -> float:
    if said.shape != wanted.shape or not np.isfinite(said).all():
        return float("inf")
    return float(np.abs(np.asarray(said, np.float64) - wanted).max())


def _cut(joined: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    ends = np.cumsum(lengths)
    return [joined[end - length : end].tobytes() for end, length in zip(ends, lengths, strict=True)]
