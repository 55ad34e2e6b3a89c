"""Transcripts of rows: windows of all recordings through the model, put together recording by recording."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.speech.ctc.decoder import FILES, CtcDecoder
from horngate.pipelines.speech.transcribe import subtitles
from horngate.pipelines.speech.transcribe.moonshine_decoder import MoonshineDecoder, written
from horngate.pipelines.speech.transcribe.recordings import filled, heard_at, together
from horngate.pipelines.speech.transcribe.subtitles import phrases, plain_segments
from horngate.pipelines.speech.transcribe.windows import Window, windows
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, Said
from horngate.pipelines.tasks.predictor import ModelPredictor, kept_model
from horngate.pipelines.tasks.task import Task

AHEAD = 16  # recordings that are read before the model needs them
SEGMENT = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string())])
LENGTHS = ((2, "under 2 s"), (5, "2 to 5 s"), (10, "5 to 10 s"), (30, "10 to 30 s"), (120, "30 s to 2 min"))


@dataclass
class _Row:
    """A recording whose windows are under way: what each gave so far, and the seconds that this took."""

    samples: int
    windows: list[Window]
    outputs: list[Any] = field(default_factory=list)
    left: int = 0
    spent: float = 0.0


class TranscriptPredictor(ModelPredictor):
    """Writes recordings of any length down. The model is a `Transcriber` with a `CtcDecoder` as decisions, or a `Moonshine`

    with a `MoonshineDecoder`.
    """

    batch_size = 8
    raced = False

    def __init__(self, task: Task):
        super().__init__(task)
        self.from_preset = isinstance(self.fitted.decisions, MoonshineDecoder)

    @property
    def rate(self) -> int:
        """Samples per second that the model hears."""
        return self.fitted.schema["rate"]

    @property
    def core(self) -> Any:
        return self.fitted.model.logits if self.from_preset else self.fitted.model.answers

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("text", pa.string()),
            AnswerColumn("confidence", pa.float64()),
            AnswerColumn("segments", pa.list_(SEGMENT)),
            AnswerColumn("seconds_heard", pa.float64(), "measured"),
            AnswerColumn("seconds_computed", pa.float64(), "measured", timed=True),
            AnswerColumn("recording_length", pa.string(), "slice"),
        )

    def load_state(self, folder: Path) -> Fitted:
        schema = read_json(folder / "schema.json")
        if schema.get("model") == "moonshine":
            return Fitted(schema, decisions=MoonshineDecoder(schema["rate"]), files=("tokenizer.spm",))
        return Fitted(schema, decisions=CtcDecoder.read(folder, schema), files=FILES)

    def load_model(self, run: Run) -> Any:
        # Keras, which a bundle of another runtime does without
        from horngate.models.speech.moonshine import Moonshine
        from horngate.models.speech.transcription import Transcriber

        if self.from_preset:
            return Moonshine.opened(kept_model(run), run / "tokenizer.spm")
        network = Transcriber.within(kept_model(run))
        if network.answers.output_shape[-1] != len(self.fitted.decisions.vocabulary) + 1:
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of units")
        return network

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        subtitles.make_folders(options)
        changes = {name: options[name] for name in ("decoding", "beam") if options.get(name) is not None}
        if not changes:
            return self.fitted, {}
        if self.from_preset:
            raise UserError(
                "--decoding and --beam are for CTC networks; Moonshine writes its likeliest text token by token"
            )
        if changes.get("decoding", "greedy") not in ("greedy", "beam"):
            raise UserError(f"--decoding should be greedy or beam. Received: {changes['decoding']}")
        decoder = replace(self.fitted.decisions.decoder, **changes)
        return self.fitted.having(decisions=replace(self.fitted.decisions, decoder=decoder)), decoder.protocol()

    def remarks(self) -> list[str]:
        folders = subtitles.folders_of(self.task.options)
        return [f"subtitles (.{kind}) were written to {folder}" for kind, folder in folders.items()]

    @cached_property
    def _encoder(self) -> Any:
        return self.fitted.model.features()

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        return None if self.from_preset else np.asarray(self._encoder.predict_on_batch(batch))

    def texts(self, table: pa.Table) -> list[str | None]:
        """Return the texts alone of rows; None where one can't be read."""
        said = self._said(table, labelled=True)
        texts: list[str | None] = [None] * table.num_rows
        for place, text in zip(said.places, said.columns["text"] if said.columns else (), strict=True):
            texts[place] = text
        return texts

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        for block in blocks:
            yield self._said(block, labelled)

    def _said(self, block: pa.Table, labelled: bool) -> Said:
        errors: list[str | None] = [None] * block.num_rows
        found: dict[int, dict[str, Any]] = {}
        ids, folders = block["id"].to_pylist(), {} if labelled else subtitles.folders_of(self.task.options)
        for place, answer in self._answers(block, errors):
            found[place] = answer
            for kind, folder in folders.items():
                segments = [(part["start"], part["end"], part["text"]) for part in answer["segments"]]
                subtitles.write(folder, kind, ids[place], segments)
        places = sorted(found)
        if not places:
            return Said(block, None, [], errors)
        columns = {name: [found[place][name] for place in places] for name in found[places[0]]}
        return Said(block, columns, places, errors)

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
            cut = windows(samples, self.rate, self.fitted.schema["window"])
            rows[place] = _Row(len(samples), cut, [None] * len(cut), len(cut))
            for number, window in enumerate(cut):
                part = samples[window.first : window.last]
                own = waiting[filled(len(part), self.rate)]
                own.append((place, number, part))
                if len(own) == self.batch_size:
                    yield from self._finished(own, rows)
                    own.clear()
        for own in waiting.values():
            if own:
                yield from self._finished(own, rows)

    def _samples(self, row: tuple) -> np.ndarray:
        return heard_at(content(*row), self.rate)

    def _finished(self, batch: list[tuple], rows: dict[int, _Row]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (place, answer) of the rows that a batch of windows (place, number, samples) finishes."""
        started = time.perf_counter()
        parts = [part for *_, part in batch]
        filled_up = -(-self.batch_size // self.step) * self.step
        outputs = self._heard(together(parts, self.rate, filled_up))
        share = (time.perf_counter() - started) / max(sum(map(len, parts)), 1)
        for (place, number, part), output in zip(batch, outputs, strict=False):
            row = rows[place]
            row.outputs[number], row.left, row.spent = output, row.left - 1, row.spent + share * len(part)
            if not row.left:
                yield place, self._answer(rows.pop(place))

    def _answer(self, row: _Row) -> dict[str, Any]:
        started = time.perf_counter()
        found = self.fitted.decisions.transcript(row.windows, row.outputs)
        seconds = row.samples / self.rate
        return {
            "text": found.text,
            "confidence": round(found.confidence, 4),
            "segments": plain_segments(phrases(found.segments)),
            "seconds_heard": seconds,
            "seconds_computed": row.spent + time.perf_counter() - started,
            "recording_length": next((name for most, name in LENGTHS if seconds < most), "over 2 min"),
        }

    def _heard(self, batch: np.ndarray) -> list[Any]:
        """Return what the model makes of each window of a batch float32 `[n, samples]`."""
        return written(self.fitted.model, batch) if self.from_preset else list(self.forward(batch))
