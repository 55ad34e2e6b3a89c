"""listen: find keywords in a long recording, or in samples that come through a pipe, while they come."""

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.runs.bundle import Bundle, opened
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.speech.audio.decoding import chunks_of, flowing
from horngate.pipelines.speech.keywords.streaming import Events, Manner, Windows
from horngate.pipelines.system import device, progress
from horngate.pipelines.tasks.task import Task, task_of

NO_KEYWORDS = ("silence", "unknown", "background", "noise", "other", "none")
KNOWN = (b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"ID3\x04", b"FORM", b".snd")
FULL = np.float32(32768)  # of 16-bit samples
READ = 1 << 16  # bytes


def listen(
    run: str | os.PathLike | Run | Bundle,
    source: str,
    rate: int | None = None,
    ignore: tuple[str, ...] = (),
    every_window: bool = False,
    **manner: float | None,
) -> Iterator[dict[str, Any]]:
    """Yield events (`time`, `start`, `end` in seconds, `label`, `score`) as soon as they are certain.

    Args:
        run: a run of `speech keywords`, its folder, or a bundle of it.
        source: a sound file of any length, or `-` for raw samples on standard input: 16 bits, little-endian, one channel.
        rate: of raw samples; default: what the model hears.
        ignore: labels that are no keywords; `silence`, `unknown` and the like, and names that begin with `_`, never are.
        every_window: yield the `end` and `scores` of each window in place of events.
        manner: fields of `Manner`; None leaves the default.

    Raises:
        UserError: no such run, an unknown label to ignore, a file that can't be read, or no raw samples.
    """
    task = _opened(run)
    how = Manner(**{name: value for name, value in manner.items() if value is not None})
    ignored = _ignored(task, ignore)
    chunks = piped(rate or task.fitted.schema["rate"]) if source == "-" else filed(source)
    yield from heard(task, chunks, how, ignored, every_window)


def heard(
    task: Task,
    chunks: Iterator[tuple[np.ndarray, int]],
    manner: Manner,
    ignored: list[int],
    every_window: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield what `listen` does, of samples that come in chunks: (float32 `[n]`, samples per second)."""
    rate, length = task.fitted.schema["rate"], task.fitted.schema["samples"]
    hop = max(1, round(manner.hop * rate))
    manner = Manner(**asdict(manner) | {"hop": hop / rate})
    windows, number = Windows(length, hop), 0
    events = Events(task.fitted.decisions.labels, ignored, length / rate, manner)
    for clips in cut(chunks, windows, rate):
        scores = scores_of(task, clips)
        if every_window:
            for score in scores:
                number += 1
                yield {"end": round(number * manner.hop, 3), "scores": [round(float(part), 6) for part in score]}
        else:
            yield from events.push(scores, np.square(clips[:, -hop:], dtype=np.float64).mean(1))
    if not every_window:
        yield from events.end()


def cut(chunks: Iterator[tuple[np.ndarray, int]], windows: Windows, rate: int) -> Iterator[np.ndarray]:
    """Yield the windows of a stream at the model's rate, as soon as they are complete, float32 `[windows, length]`.

    Raises:
        KeyboardInterrupt: a signal asked to stop.
    """
    change = None
    for samples, given in chunks:
        if progress.stop.is_set():
            raise KeyboardInterrupt
        if given != rate:
            change = change or flowing(given, rate)
            samples = change.resample_chunk(samples)
        clips = windows.push(samples)
        if len(clips):
            yield clips
    if change is not None:
        clips = windows.push(change.resample_chunk(np.zeros(0, np.float32), last=True))
        if len(clips):
            yield clips
    clips = windows.end()
    if len(clips):
        yield clips


def scores_of(task: Task, clips: np.ndarray) -> np.ndarray:
    """Return the scores of windows, float32 `[windows, labels]`; in batches of few sizes, so that nothing is traced anew."""
    parts = []
    predictor = task.predictor
    for start in range(0, len(clips), predictor.step):
        part = clips[start : start + predictor.step]
        size = predictor.step if task.runtime is not None else 1 << (len(part) - 1).bit_length()
        parts.append(predictor.forward(task.reader.collate(list(part), size))[: len(part)])
    return np.concatenate(parts)


def filed(source: str) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the samples of a sound file, a few seconds at a time.

    Raises:
        UserError: missing, no sound, or damaged.
    """
    if not Path(source).is_file():
        raise UserError(
            f"{source} doesn't exist" if not Path(source).is_dir() else f"{source} is a folder; name a file"
        )
    try:
        yield from chunks_of(Path(source))
    except Unreadable as reason:
        raise UserError(f"{source} can't be listened to: {reason}") from None


def piped(rate: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield raw samples from standard input as they come.

    Raises:
        UserError: nothing came, or a file with a header.
    """
    source, rest, begun = sys.__stdin__.fileno(), b"", False
    while data := os.read(source, READ):
        data = rest + data
        if not begun and len(data) >= 4:
            if data[:4] in KNOWN:
                raise UserError(
                    "standard input holds a sound file, not raw samples: name the file, or pipe 16-bit samples "
                    f"(ffmpeg -i FILE -f s16le -ac 1 -ar {rate} -)"
                )
            begun = True
        whole = len(data) // 2 * 2
        data, rest = data[:whole], data[whole:]
        if data:
            yield np.frombuffer(data, "<i2").astype(np.float32) / FULL, rate
    if not begun:
        raise UserError("nothing came from standard input: it should hold raw 16-bit samples")


def _opened(run: str | os.PathLike | Run | Bundle) -> Task:
    source = opened(run)
    if task_name(source.card) != ("speech", "keywords"):
        raise UserError(f"{run} is a run of {' '.join(task_name(source.card))}; listen takes one of speech keywords")
    if isinstance(source, Run):
        device.set_up(source.card.device, source.card.precision, source.card.seed)
        task = task_of(source.card).opened(source)
    else:
        task = task_of(source.card).recalled(source.folder).computing_with(source.start())
    if task.fitted.decisions.several:
        raise UserError("listen needs a run with one label a clip")
    return task


def _ignored(task: Task, named: tuple[str, ...]) -> list[int]:
    labels = task.fitted.decisions.labels
    unknown = [name for name in named if name not in labels]
    if unknown:
        raise UserError(f'--ignore "{unknown[0]}" is no label of this run. Labels: {", ".join(labels)}')
    none = (name for name in labels if name.startswith("_") or name.casefold() in NO_KEYWORDS)
    return sorted({labels.index(name) for name in (*named, *none)})
