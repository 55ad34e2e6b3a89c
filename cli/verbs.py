"""The verbs of a task as commands; each asks the same function that Python users call."""

from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

import click

from horngate import pipelines
from horngate.cli.drift import drift_tables, of_run
from horngate.cli.options import GroupedCommand, given, knob_groups, knob_options, verb_options
from horngate.cli.output import findings_table, report_tables, say, say_json, show
from horngate.cli.telling import speech_options, wake
from horngate.pipelines.runs.bundle import Bundle, opened
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import FORMATS, PRECISIONS
from horngate.pipelines.spec.card import Data, knob_types, task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import merged, to_yaml

READING = ("splits", "seed", "output", "validation", "test", "split_rule")  # knobs that `check` has no use for
READING_A_TABLE = ("id_column", "keep_column", "allow_outside", "encoding")  # knobs that `predict` has too


def task_group(name: str, card: type[Data]) -> click.Group:
    """Return the group of a task with its verbs."""
    group = click.Group(name, help=card.__doc__, short_help=card.__doc__.splitlines()[0], no_args_is_help=True)
    for make in (check_command, train_command, evaluate_command, predict_command, export_command):
        group.add_command(make(card))
    for command in own_verbs(card):
        command.params += speech_options()
        group.add_command(command)
    return group


def own_verbs(card: type[Data]) -> list[click.Command]:
    """Return the verbs that a task adds: those of `cli/<domain>/<task>.py`, where there is such a file."""
    domain, task = task_name(card)
    if find_spec(f"horngate.cli.{domain}") is None or find_spec(f"horngate.cli.{domain}.{task}") is None:
        return []
    return import_module(f"horngate.cli.{domain}.{task}").commands(card)


def check_command(card: type[Data]) -> click.Command:
    """Return `check`."""
    own = tuple(spec.name for spec in fields(Data) if spec.name not in (*READING, "data"))
    own += (*(f"{role}_column" for role in card.rows.roles), *card.check_knobs)

    def run(source: str, as_json: bool, strict: bool, against: str | None, **values: Any) -> None:
        flags = given(card, values) | {"data": source}
        if against is None:
            chosen = merged(card, flags=flags)
        else:
            _of_task(card, against, "check")
            chosen = of_run(against, flags)
        wake()
        seen = pipelines.check(chosen, against)
        if as_json:
            say_json(seen)
        else:
            show(*([] if against is None else drift_tables(seen["drift"])), findings_table(seen))
        stops = ("error", "warning") if strict else ("error",)
        bad = [finding for finding in seen["findings"] if finding["grade"] in stops]
        if bad:
            raise UserError(f"{len(bad)} findings would stop a training; the first: {bad[0]['message']}")

    params = [
        click.Argument(["source"], metavar="DATA"),
        *knob_options(card, own),
        click.Option(["--against"], metavar="RUN", help="Compare with the rows that a run learnt from, too."),
        click.Option(["--strict"], is_flag=True, help="Count warnings as errors."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs."),
    ]
    return _command("check", run, params, "Say what is wrong with the data, before an hour is spent.")


def train_command(card: type[Data]) -> click.Command:
    """Return `train`."""

    def run(recipe: str | None, config: str | None, dry_run: bool, resume: str | None, **values: Any) -> None:
        flags = given(card, values)
        if resume is not None:
            if flags or recipe or config or dry_run:
                raise UserError("--resume goes on with the run's own recipe; leave the other options out")
            _of_task(card, resume, "train --resume", finished=False)
        chosen = None if resume is not None else merged(card, recipe, config, flags)
        if dry_run:
            say(to_yaml(chosen).rstrip())
            return
        wake()
        say(str(pipelines.train(chosen, resume).folder))

    params = [
        *knob_options(card),
        click.Option(["--recipe"], metavar="NAME", help=f"Start from a named recipe: {', '.join(card.recipes)}."),
        click.Option(["-c", "config"], metavar="FILE", help="Take knobs from a YAML file; flags win over it."),
        click.Option(["--dry-run"], is_flag=True, help="Print the recipe as YAML and do nothing."),
        click.Option(["--resume"], metavar="RUN", help="Go on with an unfinished run."),
    ]
    groups = knob_groups(card) | {"config": "learning", "resume": "learning"}
    return _command(
        "train", run, params, "Learn from the data and print the run's folder.", GroupedCommand, groups=groups
    )


def evaluate_command(card: type[Data]) -> click.Command:
    """Return `evaluate`."""

    def run(run: str, as_json: bool, by: tuple[str, ...], **values: Any) -> None:
        _of_task(card, run, "evaluate")
        wake()
        report = pipelines.evaluate(run, by=by or None, **values).plain()
        if as_json:
            say_json(report)
        else:
            show(*report_tables(report))

    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Option(
            ["--split"],
            type=click.Choice(("train", "validation", "test")),
            help="Which rows.  [default: test, or all of --data]",
        ),
        click.Option(["--data"], metavar="SOURCE", help="Other labelled data than the run's own."),
        click.Option(["--name"], metavar="NAME", help="Name of the evaluation of --data."),
        click.Option(
            ["--by"],
            multiple=True,
            metavar="COLUMN",
            help="Slice by this column.  [default: kept columns of 2 to 20 values]",
        ),
        click.Option(["-o", "--output"], metavar="DIR", help="Write here instead of into the run."),
        runtime_option(card),
        *verb_options(card, "evaluate"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the report as JSON."),
    ]
    return _command("evaluate", run, params, "Score a run, with intervals, baseline and slices.")


def predict_command(card: type[Data]) -> click.Command:
    """Return `predict`."""

    def run(run: str, inputs: tuple[str, ...], keep_column: tuple[str, ...], **values: Any) -> None:
        wake(tensorflow=not _of_task(card, run, "predict"))
        done = pipelines.predict(run, list(inputs), keep_column=keep_column or None, **values)
        if done.path is not None:
            say(str(done.path))

    asked = (f"{role}_column" for role in card.rows.roles if role not in card.rows.truth)
    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Argument(["inputs"], metavar="INPUT...", nargs=-1, required=True),
        click.Option(
            ["-o", "--output"],
            metavar="FILE|-",
            required=True,
            help="A .parquet, .jsonl or .csv file, or - for stdout.",
        ),
        *knob_options(card, (*READING_A_TABLE, *asked)),
        click.Option(
            ["--overwrite"], is_flag=True, help="Replace an output that another model, option or listing made."
        ),
        click.Option(
            ["--max-errors"],
            type=click.FloatRange(0, 1),
            default=1.0,
            show_default=True,
            help="Exit with 1 above this share of errors.",
        ),
        runtime_option(card),
        *verb_options(card, "predict"),
    ]
    return _command("predict", run, params, "Answer every input, one row each, resumable.")


def export_command(card: type[Data]) -> click.Command:
    """Return `export`."""

    def run(run: str, **values: Any) -> None:
        _of_task(card, run, "export")
        wake()
        say(str(pipelines.export(run, **values).folder))

    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Option(["--format"], type=click.Choice(FORMATS), required=True, help="Of the model file."),
        click.Option(["-o", "--output"], metavar="DIR", required=True, help="Folder of the bundle; it must be new."),
        click.Option(
            ["--precision"],
            type=click.Choice(PRECISIONS),
            default="float32",
            show_default=True,
            help="Of the weights; int8: of activations too, with ranges from training rows.",
        ),
        click.Option(
            ["--data"], metavar="SOURCE", help="Rows to prove it on, where the run's own data is not at hand."
        ),
        click.Option(
            ["--tolerance"],
            type=click.FloatRange(0),
            help="Largest difference of an output that is accepted.  [default: 1e-4; float16 0.05, int8 0.3]",
        ),
        *verb_options(card, "export"),
    ]
    return _command("export", run, params, "Write a bundle for another runtime, proven to answer the same.")


def runtime_option(card: type[Data]) -> click.Option:
    """Return `--runtime` of the verbs that answer: what the task can be computed by."""
    known = get_args(knob_types(card)["runtime"][0])
    help = (
        "What computes on a CPU; auto obeys the run's verdict, or races for it."
        if "litert" in known
        else "What computes."
    )
    return click.Option(["--runtime"], type=click.Choice(known), help=f"{help}  [default: as trained]")


def _command(
    name: str, run, params: list, help: str, kind: type[click.Command] = click.Command, **more: Any
) -> click.Command:
    return kind(name, callback=run, params=[*params, *speech_options()], help=help, no_args_is_help=True, **more)


def _of_task(card: type[Data], folder: str, verb: str, finished: bool = True) -> bool:
    """Refuse a run of another task, printing the right command; return whether it can do without TensorFlow."""
    source = opened(folder) if verb == "predict" else Run.open(folder, finished)
    theirs, ours = task_name(source.card), task_name(card)
    if theirs != ours:
        raise UserError(f"{folder} is of {' '.join(theirs)}; say: horngate {' '.join(theirs)} {verb} {folder}")
    return isinstance(source, Bundle) and source.facts["kind"] != "saved_model"
