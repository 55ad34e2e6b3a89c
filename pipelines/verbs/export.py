"""export: hand a run over as a bundle that is proven to answer the same."""

import os
import shutil
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from horngate.pipelines.runs.bundle import MODELS, Bundle
from horngate.pipelines.runs.model_card import model_card
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import FORMATS, PRECISIONS, conversion
from horngate.pipelines.runtimes.examples import example
from horngate.pipelines.runtimes.golden import TOLERANCES, made_up, replayed, write_golden
from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import to_yaml
from horngate.pipelines.system import device, progress
from horngate.pipelines.system.files import write_json, write_text
from horngate.pipelines.tasks.task import Task, task_of

GOLDEN = 32  # rows
SAMPLE = 128  # rows that int8 takes its ranges from
FORMAT = 1


def export(
    run: str | os.PathLike,
    format: str,
    output: str | os.PathLike,
    precision: str = "float32",
    data: str | None = None,
    tolerance: float | None = None,
) -> Bundle:
    """Export a run as a bundle, replay 32 rows through the exported file, and refuse where answers differ.

    The rows are real ones, which the bundle keeps; of a task whose rows are about people, made-up ones.

    Args:
        run: the run or its folder.
        format: `saved_model`, `onnx` or `litert`.
        output: a folder that isn't there yet.
        precision: `float32`; for onnx and litert also `float16` or `int8`.
        data: labelled data for golden rows and for int8's ranges, where the run's own is not at hand.
        tolerance: largest difference of an output that is accepted; default: by the precision.

    Raises:
        UserError: the task or format can't, a package is missing, or the export doesn't answer the same.
    """
    run, target = Run.open(run), Path(output)
    _possible(run, format, precision, target)
    device.set_up("cpu", "float32", run.card.seed)
    task = task_of(run.card)
    if task.unexportable:
        raise UserError(task.unexportable)
    task = task.opened(run)
    rows = task.exporter.golden
    splits, private = ("test", "validation", "train"), run.card.rows.private
    golden = made_up(task, GOLDEN) if private else rows(run, data, GOLDEN, splits)
    sample = rows(run, data, SAMPLE, ("train",)) if precision == "int8" else None
    work = target.with_name(f".{target.name}.{os.getpid()}.part")
    bundle = Bundle(work)
    try:
        _fill(bundle, run, task, {"kind": format, "precision": precision, "tolerance": tolerance}, golden, sample)
        bundle.seal()
        parity = replayed(bundle)
        if parity.problems:
            raise UserError(f"the {format} export doesn't answer as its run, so it isn't kept: {parity.problems[0]}")
        work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    shown = ", ".join(f"{name} {apart:.2g}" for name, apart in parity.differences.items())
    progress.notice(f"{parity.rows} rows replayed through {format}; largest difference: {shown}")
    return Bundle(target)


def _possible(run: Run, format: str, precision: str, target: Path) -> None:
    if format not in FORMATS:
        raise UserError(f"--format should be one of {', '.join(FORMATS)}. Received: {format}")
    if precision not in PRECISIONS:
        raise UserError(f"--precision should be one of {', '.join(PRECISIONS)}. Received: {precision}")
    if format == "saved_model" and precision != "float32":
        raise UserError("a SavedModel is exported in float32; choose --format litert or onnx for less")
    if target.exists():
        raise UserError(f"{target} exists; name another folder, or remove it")
    missing = {"onnx": ("onnxruntime", "tf2onnx"), "litert": ("ai_edge_litert",), "saved_model": ()}[format]
    if lacking := [name for name in missing if find_spec(name) is None]:
        raise UserError(f"--format {format} needs {', '.join(lacking)}: install horngate[{format}]")


def _fill(bundle: Bundle, run: Run, task: Task, wishes: dict[str, Any], golden, sample) -> None:
    """Write everything but the checksums."""
    kind, precision = wishes["kind"], wishes["precision"]
    _convert(task, bundle / MODELS[kind], kind, precision, sample)
    allowed = TOLERANCES[precision]
    allowed = allowed if wishes["tolerance"] is None else replace(allowed, largest=wishes["tolerance"])
    domain, name = task_name(run.card)
    facts = {"format": FORMAT, "domain": domain, "task": name, "kind": kind, "precision": precision}
    facts |= {"model": MODELS[kind], "run": run.folder.name, "tolerance": vars(allowed)}
    write_json(bundle / "bundle.json", facts)
    for name in task.fitted.files:
        shutil.copyfile(run / name, bundle / name)
    write_json(bundle / "schema.json", task.fitted.schema | _columns(task))
    write_text(bundle / "recipe.yaml", to_yaml(_elsewhere(run.card)))
    labels = run.labels if "labels.json" in task.fitted.files else None
    serving = task.exporter.serving() if kind == "saved_model" else None
    write_golden(bundle / "golden.npz", task, golden, labels, serving)
    write_text(bundle / "MODEL_CARD.md", model_card(run, task, facts))
    write_text(
        bundle / "example.py",
        example(kind, task.exporter.reading(), task.exporter.answering(), named=labels is not None),
    )


def _convert(task: Task, path: Path, kind: str, precision: str, sample) -> None:
    progress.detail(f"converting to {kind}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with progress.hushed():
            if kind == "saved_model":
                serving = task.exporter.serving()
                conversion.to_saved_model(task.predictor.core, path, None if serving is None else serving.answer)
            else:
                getattr(conversion, f"to_{kind}")(task.predictor.core, path, precision, sample)
    except OSError as problem:
        raise UserError(f"can't write {path}: {problem.strerror or problem}") from None
    except Exception as problem:  # converters raise whatever a model makes them raise
        why = " ".join(str(problem).split())[:200]
        others = " or ".join(name for name in FORMATS if name != kind)
        raise UserError(f"this model can't be converted to {kind} in {precision}; try {others}: {why}") from problem


def _columns(task: Task) -> dict[str, Any]:
    """Return names, shapes, dtypes and ranges of what the model takes and gives."""

    def entry(name: str, tensor) -> dict[str, Any]:
        low, high = task.exporter.ranges[name]
        return {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype), "low": low, "high": high}

    return {
        "inputs": [entry("inputs", task.predictor.core.inputs[0])],
        "outputs": [entry("outputs", task.predictor.core.outputs[0])],
        "answers": [
            {"name": one.name, "type": str(one.type)}
            for one in task.predictor.columns()
            if one.role in ("answer", "carried")
        ],
    }


def _elsewhere(card: Data) -> Data:
    """Return the card without paths of the machine that it was trained on."""
    paths = ("data", "weights", "backbone", "splits", *card.rows.belonging)
    given = {name: getattr(card, name) for name in paths if hasattr(card, name)}
    bare = {name: Path(value).name for name, value in given.items() if value and Path(value).is_absolute()}
    default = next(spec.default for spec in fields(card) if spec.name == "output")
    return replace(card, **bare, output=default)
