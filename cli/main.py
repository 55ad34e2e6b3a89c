"""The root of the command: domains and their tasks come from looking at `pipelines/`."""

import os
import signal
import sys
import traceback

import click

from horngate.cli import everywhere, verbs
from horngate.cli.telling import speech_options
from horngate.pipelines.spec.discovery import domains
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system import offline, progress

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class Root(click.Group):
    """Groups for domains, made when they are asked for, beside the commands that hold for all tasks."""

    def list_commands(self, ctx):
        return [*domains(), *everywhere.COMMANDS]

    def get_command(self, ctx, name):
        if name in domains():
            return _domain(name)
        return everywhere.COMMANDS.get(name)

    def resolve_command(self, ctx, args):
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f'No such command "{name}".{nearest(name, self.list_commands(ctx))}', ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Root, context_settings=HELP, no_args_is_help=True)
@click.version_option(package_name="horngate", message="%(prog)s %(version)s")
def cli() -> None:
    """Fine-tune, evaluate and batch-run Keras models on your own data.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 you can mend it, 2 wrong usage, 70 our bug,
    130 and 143 interrupted and resumable.
    """


cli.params += speech_options()


def main() -> None:
    """Run the command and exit with the code that says how it went."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wish_to_stop)
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as wish:
        sys.exit(wish.exit_code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except UserError as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "interrupted; the same work can go on: train with --resume RUN, predict with the same command", err=True
        )
        sys.exit(_stopped_by())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as problem:
        if refusal := offline.told(problem):
            click.echo(f"error: {refusal}", err=True)
            sys.exit(1)
        traceback.print_exc()
        click.echo("this is a bug of horngate; please report it with the lines above", err=True)
        sys.exit(70)


_signals: list[int] = []


def _wish_to_stop(number: int, frame) -> None:
    """Ask long jobs to stop at the next place from which they can go on; a second signal stops at once."""
    if progress.stop.is_set():
        os._exit(128 + number)
    _signals.append(number)
    progress.stop.set()
    if not progress.is_patient():
        raise KeyboardInterrupt


def _stopped_by() -> int:
    return 128 + (_signals[0] if _signals else signal.SIGINT)


def _domain(name: str) -> click.Group:
    group = click.Group(name, help=f"Tasks of {name}.", short_help=", ".join(domains()[name]), no_args_is_help=True)
    for task, card in domains()[name].items():
        group.add_command(verbs.task_group(task, card))
    return group
