"""`horngate speech keywords listen`."""

import json
from typing import Any

import click

from horngate.cli.output import say
from horngate.cli.telling import wake
from horngate.pipelines.spec.card import Data


def commands(card: type[Data]) -> list[click.Command]:
    """Return the verbs that the task adds."""
    return [_listen_command()]


def _listen_command() -> click.Command:
    def run(run: str, source: str, ignore: tuple[str, ...], windows: bool, **wishes: Any) -> None:
        wake()
        from horngate.pipelines.speech.keywords.listen import listen

        for event in listen(run, source, ignore=ignore, every_window=windows, **wishes):
            say(json.dumps(event, ensure_ascii=False))

    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Argument(["source"], metavar="FILE|-"),
        click.Option(["--rate"], type=click.IntRange(1), help="Samples per second of raw samples on standard input."),
        *(_seconds(*option) for option in TIMES),
        click.Option(["--threshold"], type=click.FloatRange(0, 1), help="Tell keywords from this score on (0.6)."),
        click.Option(["--gate"], type=float, help="Decibels above the quietest moment, for something to count (6)."),
        click.Option(["--ignore"], multiple=True, metavar="LABEL", help="A label that is no keyword; repeatable."),
        click.Option(["--windows"], is_flag=True, help="Print the scores of every window in place of events."),
    ]
    help = "Find keywords in a long recording, or in raw 16-bit samples on standard input, while they come."
    return click.Command("listen", callback=run, params=params, help=help, no_args_is_help=True)


TIMES = (
    ("--hop", 0.01, "Seconds from one window to the next (0.1)."),
    ("--smoothing", 0.0, "Seconds over which scores are averaged (0.3)."),
    ("--refractory", 0.0, "Seconds after an event in which no other is told (0.7)."),
)


def _seconds(name: str, least: float, help: str) -> click.Option:
    return click.Option([name], type=click.FloatRange(least, 10), metavar="SECONDS", help=help)
