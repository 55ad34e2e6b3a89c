"""What is told on stderr while something runs: notices, progress, and what TensorFlow would say on its own."""

import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from horngate.pipelines.system import offline, progress
from horngate.pipelines.system.progress import Teller

PATIENCE = 2.0  # seconds before a job shows its progress


def wake(tensorflow: bool = True) -> None:
    """Import TensorFlow and Keras and look for devices, with what their C++ side prints held back unless `-v`.

    What was held back is shown after all when the import fails. What libraries print goes to stderr from here on.

    Args:
        tensorflow: whether the verb needs it at all.
    """
    sys.stdout = sys.stderr
    if tensorflow:
        with progress.hushed():
            import keras
            import tensorflow as tf

            if offline.forbidden():
                keras.config.disable_interactive_logging()  # it would announce downloads that don't come
            tf.config.list_physical_devices()


def speech_options() -> list[click.Option]:
    """Return `-q`, `-v` and `--offline`, which every command takes."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_speak, help="Only results and errors."
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_speak,
            help="Everything, also TensorFlow's own words.",
        ),
        click.Option(
            ["--offline"],
            is_flag=True,
            expose_value=False,
            callback=_stay,
            help="Forbid any use of the network, as HORNGATE_OFFLINE=1 does.",
        ),
    ]


def _speak(ctx: click.Context, option: click.Parameter, wished: bool) -> None:
    """Set how much is told; what stands nearest to the verb wins."""
    settings = ctx.find_root().ensure_object(dict)
    if wished:
        settings[option.name] = True
    progress.tell_through(Terminal(settings.get("quiet", False), settings.get("verbose", False)))
    if settings.get("verbose"):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
        warnings.simplefilter("default")
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        warnings.simplefilter("ignore")


def _stay(ctx: click.Context, option: click.Parameter, wished: bool) -> None:
    """Forbid the network where it is asked for, before the root or after the verb, or by the environment."""
    settings = ctx.find_root().ensure_object(dict)
    settings["offline"] = wished or settings.get("offline", False)
    offline.obey(settings["offline"])


class Terminal(Teller):
    """Tells on stderr: bars on a terminal, plain lines elsewhere, and only for what takes over two seconds."""

    def __init__(self, quiet: bool = False, verbose: bool = False):
        self.quiet, self.verbose = quiet, verbose

    def notice(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def detail(self, line: str) -> None:
        if self.verbose:
            print(line, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Any]:
        if self.quiet:
            yield lambda steps=1, note="": None
            return
        job = (_Bar if sys.stderr.isatty() else _Lines)(label, total)
        try:
            yield job.step
        finally:
            job.end()


class _Lines:
    """Progress as plain lines, at ever longer intervals."""

    def __init__(self, label: str, total: int | None):
        self.label, self.total, self.done = label, total, 0
        self.started = time.monotonic()
        self.next, self.gap, self.shown = self.started + PATIENCE, 2 * PATIENCE, False

    def step(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        now = time.monotonic()
        if now >= self.next:
            self.next, self.gap, self.shown = now + self.gap, min(self.gap * 1.5, 60.0), True
            of = f" of {self.total:,} ({self.done / max(self.total, 1):.0%})" if self.total else ""
            print(f"{self.label}: {self.done:,}{of}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.shown:
            seconds = time.monotonic() - self.started
            print(f"{self.label}: {self.done:,} in {seconds:.0f} s", file=sys.stderr, flush=True)


class _Bar:
    """Progress as a bar, shown once the job has taken two seconds."""

    def __init__(self, label: str, total: int | None):
        self.label, self.total, self.done = label, total, 0
        self.started, self.bar, self.task = time.monotonic(), None, None

    def step(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        if self.bar is None and time.monotonic() - self.started > PATIENCE:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(self.label, total=self.total)
            self.bar.start()
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done)

    def end(self) -> None:
        if self.bar is not None:
            self.bar.stop()
