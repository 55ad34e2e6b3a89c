"""Transcripts of rows: windows of all recordings through the model, put together recording by recording."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.speech.transcribe import subtitles
from horngate.pipelines.speech.transcribe.recordings import filled, heard_at, together
from horngate.pipelines.speech.transcribe.subtitles import Timed, phrases, plain_segments
from horngate.pipelines.speech.transcribe.windows import Window, windows
from horngate.pipelines.system import progress

AHEAD = 16  # recordings that are read before the model needs them
MEASURED = pa.schema(
    [("seconds_heard", pa.float64()), ("seconds_computed", pa.float64()), ("recording_length", pa.string())]
)
SEGMENT = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string())])
LENGTHS = ((2, "under 2 s"), (5, "2 to 5 s"), (10, "5 to 10 s"), (30, "10 to 30 s"), (120, "30 s to 2 min"))


@dataclass(frozen=True)
class Told:
    """What was heard in one recording: its text, how sure that is (0 to 1), and its phrases."""

    text: str
    confidence: float
    segments: list[Timed]


@dataclass
class _Row:
    """A recording whose windows are under way: what each gave so far, and the seconds that this took."""

    samples: int
    windows: list[Window]
    outputs: list[Any] = field(default_factory=list)
    left: int = 0
    spent: float = 0.0


class Answering:
    """The part of a transcribing task that answers; the whole has `schema`, `batch_size`, `step`, `heard` and `told`.

    Attributes:
        written_to: folder of subtitles by kind (`srt`, `vtt`).
    """

    schema: dict[str, Any]
    batch_size: int
    written_to: dict[str, str]

    def answer_schema(self) -> pa.Schema:
        return pa.schema([("text", pa.string()), ("confidence", pa.float64()), ("segments", pa.list_(SEGMENT))])

    def measured_schema(self) -> pa.Schema:
        return MEASURED

    def said(self, block: pa.Table, labelled: bool) -> tuple[dict[str, Any] | None, list[int], list[str | None]]:
        errors: list[str | None] = [None] * block.num_rows
        found: dict[int, dict[str, Any]] = {}
        ids = block["id"].to_pylist()
        for place, answer in self._answers(block, errors):
            found[place] = answer
            for kind, folder in self.written_to.items() if not labelled else ():
                segments = [(part["start"], part["end"], part["text"]) for part in answer["segments"]]
                subtitles.write(folder, kind, ids[place], segments)
        places = sorted(found)
        if not places:
            return None, [], errors
        return {name: [found[place][name] for place in places] for name in found[places[0]]}, places, errors

    def transcripts(self, block: pa.Table) -> list[str | None]:
        """Return the texts alone of a block's rows; None where one can't be read."""
        rows, places, _ = self.said(block, labelled=True)
        texts: list[str | None] = [None] * block.num_rows
        for place, text in zip(places, rows["text"] if rows else (), strict=True):
            texts[place] = text
        return texts

    def _answers(self, block: pa.Table, errors: list[str | None]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (place, answer) of each row as its last window was heard; note why others have none."""
        rows: dict[int, _Row] = {}
        waiting: dict[int, list[tuple]] = defaultdict(list)
        inputs = zip(*(block[name].to_pylist() for name in ("input", "value", "error")), strict=True)
        for place, samples in enumerate(in_order(self._samples, inputs, ahead=AHEAD)):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            if isinstance(samples, Unreadable):
                errors[place] = str(samples)
                continue
            cut = windows(samples, self.schema["rate"], self.schema["window"])
            rows[place] = _Row(len(samples), cut, [None] * len(cut), len(cut))
            for number, window in enumerate(cut):
                part = samples[window.first : window.last]
                own = waiting[filled(len(part), self.schema["rate"])]
                own.append((place, number, part))
                if len(own) == self.batch_size:
                    yield from self._heard(own, rows)
                    own.clear()
        for own in waiting.values():
            if own:
                yield from self._heard(own, rows)

    def _samples(self, row: tuple) -> np.ndarray:
        return heard_at(content(*row), self.schema["rate"])

    def _heard(self, batch: list[tuple], rows: dict[int, _Row]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (place, answer) of the rows that a batch of windows (place, number, samples) finishes."""
        started = time.perf_counter()
        parts = [part for *_, part in batch]
        filled_up = -(-self.batch_size // self.step) * self.step
        outputs = self.heard(together(parts, self.schema["rate"], filled_up))
        share = (time.perf_counter() - started) / max(sum(map(len, parts)), 1)
        for (place, number, part), output in zip(batch, outputs, strict=False):
            row = rows[place]
            row.outputs[number], row.left, row.spent = output, row.left - 1, row.spent + share * len(part)
            if not row.left:
                yield place, self._answer(rows.pop(place))

    def _answer(self, row: _Row) -> dict[str, Any]:
        started = time.perf_counter()
        told = self.told(row.windows, row.outputs)
        seconds = row.samples / self.schema["rate"]
        return {
            "text": told.text,
            "confidence": round(told.confidence, 4),
            "segments": plain_segments(phrases(told.segments)),
            "seconds_heard": seconds,
            "seconds_computed": row.spent + time.perf_counter() - started,
            "recording_length": next((name for most, name in LENGTHS if seconds < most), "over 2 min"),
        }


def taken(options: dict[str, Any]) -> dict[str, str]:
    """Return the folders of subtitles that a prediction was asked for, by kind; they are made at once.

    Raises:
        UserError: one can't be made.
    """
    from horngate.pipelines.spec.errors import UserError

    found = {kind: options[kind] for kind in subtitles.FORMATS if options.get(kind)}
    for folder in found.values():
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UserError(f"can't make the folder {folder}: {problem.strerror or problem}") from None
    return found
