"""Commands that hold for all tasks: short forms, compare, runs, recipes, doctor, demo."""

import click

from horngate import pipelines
from horngate.cli import verbs as task_verbs
from horngate.cli.comparing import compare
from horngate.cli.demo import shown_verbs
from horngate.cli.output import say, say_json, show, table
from horngate.cli.presets import presets
from horngate.cli.telling import speech_options, wake
from horngate.pipelines import verbs
from horngate.pipelines.runs.bundle import opened
from horngate.pipelines.runs.run import list_runs
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.discovery import card_class, domains
from horngate.pipelines.spec.errors import UserError


class Short(click.Command):
    """`horngate evaluate RUN …`: the verb of the run's own task, with all its options."""

    def __init__(self, verb: str, help: str):
        super().__init__(verb, help=help, add_help_option=False, context_settings={"ignore_unknown_options": True})
        self.verb = verb
        self.params = [click.Argument(["words"], nargs=-1, type=click.UNPROCESSED, metavar="RUN [OPTIONS]...")]

    def invoke(self, ctx):
        words = list(ctx.params["words"])
        run = next((word for word in words if not word.startswith("-")), None)
        if run is None:
            if "--help" in words or "-h" in words or not words:
                click.echo(f"{ctx.get_help()}\n\nIts options: horngate DOMAIN TASK {self.verb} --help")
                return None
            raise UserError(f"name the run first: horngate {self.verb} RUN …")
        domain, task = task_name(opened(run).card)
        command = getattr(task_verbs, f"{self.verb}_command")(card_class(domain, task))
        name = f"horngate {domain} {task} {self.verb}"
        return command.main(words, prog_name=name, standalone_mode=False, obj=ctx.find_root().obj)


def _plain(command: click.Command) -> click.Command:
    command.params += speech_options()
    return command


@_plain
@click.command("runs")
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def runs(folder: str, as_json: bool) -> None:
    """List the runs in FOLDER with their headline scores."""
    found = [_row(run) for run in list_runs(folder)]
    if as_json:
        say_json(found)
    elif not found:
        raise UserError(f"no runs in {folder}; train one, or name another folder")
    else:
        rows = [[str(row[name]) for name in ("run", "task", "method", "metric", "test", "rows")] for row in found]
        show(table(f"runs in {folder}", ["run", "task", "method", "metric", "test", "training rows"], rows))


def _row(run) -> dict:
    row = {"run": str(run.folder), "task": "–", "method": "–", "metric": "–", "test": "unfinished", "rows": "–"}
    try:
        row["task"] = " ".join(task_name(run.card))
        if run.finished:
            summary = run.summary
            row |= {"method": summary["method"], "rows": summary["rows"]["train"], "test": "–"}
            if scores := summary["metrics"].get("test"):
                name, score = next(iter(scores.items()))
                span = "" if score["low"] is None else f" [{score['low']:.4f}, {score['high']:.4f}]"
                row |= {"metric": name, "test": f"{score['value']:.4f}{span}" if score["value"] is not None else "–"}
    except (UserError, KeyError) as problem:
        row["test"] = f"can't be opened: {problem}"
    return row


@_plain
@click.command("verify")
@click.argument("bundle")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def verify(bundle: str, as_json: bool) -> None:
    """Check the files of BUNDLE and replay its golden rows with its own runtime."""
    wake(tensorflow=False)
    parity = pipelines.verify(bundle)
    if as_json:
        say_json({"format": 1, "rows": parity.rows, "differences": parity.differences, "agreeing": parity.agreeing})
        return
    shown = ", ".join(f"{name} differ by at most {apart:.2g}" for name, apart in parity.differences.items())
    say(f"{bundle}: files as exported; {parity.rows} rows: {shown}; {parity.agreeing:.0%} the same answer")


@_plain
@click.command("recipes")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def recipes(as_json: bool) -> None:
    """List the named recipes of all tasks."""
    found = [
        {"task": f"{domain} {task}", "recipe": name, "knobs": knobs}
        for domain, cards in domains().items()
        for task, card in cards.items()
        for name, knobs in card.recipes.items()
    ]
    if as_json:
        say_json(found)
        return
    rows = [
        [row["task"], row["recipe"], ", ".join(f"{name}={value}" for name, value in row["knobs"].items())]
        for row in found
    ]
    show(table("recipes, for train --recipe NAME", ["task", "recipe", "knobs"], rows))


@_plain
@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def doctor(as_json: bool) -> None:
    """Say what this machine has: versions, devices, arithmetic, cache, data folder."""
    wake()
    facts = verbs.doctor.doctor()
    if as_json:
        say_json(facts)
    else:
        show(table("horngate doctor", ["what", "found"], [[name, str(value)] for name, value in facts.items()]))


@click.group("cache", no_args_is_help=True)
def cache() -> None:
    """Look at the cache of features, or empty it."""


@cache.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def cache_info(as_json: bool) -> None:
    """Say where the cache is and how much it holds."""
    from horngate.pipelines.system.cache import info

    facts = info()
    if as_json:
        say_json(facts)
        return
    size = f"{facts['bytes'] / 1e9:.2f} of {facts['limit'] / 1e9:.0f} GB (HORNGATE_CACHE_LIMIT)"
    rows = [["folder (HORNGATE_CACHE)", facts["folder"]], ["files", str(facts["files"])], ["size", size]]
    show(table("horngate cache", ["what", "found"], [*rows, ["unfinished", str(facts["unfinished"])]]))


@cache.command("clear")
def cache_clear() -> None:
    """Remove everything in the cache; what runs hold is not touched."""
    from horngate.pipelines.system.cache import clear

    say(f"{clear() / 1e9:.2f} GB made free")


@_plain
@click.command("demo")
@click.option(
    "-o", "--output", default="horngate-demo", show_default=True, help="Folder for everything that the demo makes."
)
def demo(output: str) -> None:
    """Train, evaluate and predict on real handwritten digits, in under two minutes and without a network."""
    wake()
    for line in shown_verbs(output):
        say(line)


COMMANDS = {
    "evaluate": Short("evaluate", "Score a run: short for the `evaluate` of the run's own task."),
    "predict": Short("predict", "Answer inputs: short for the `predict` of the run's own task."),
    "export": Short("export", "Write a bundle: short for the `export` of the run's own task."),
    "verify": verify,
    "compare": compare,
    "runs": runs,
    "recipes": recipes,
    "presets": presets,
    "cache": cache,
    "doctor": doctor,
    "demo": demo,
}
