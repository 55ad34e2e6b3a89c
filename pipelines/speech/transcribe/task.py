"""Recordings into what is said in them."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio import checks
from horngate.pipelines.speech.audio.decoding import SUFFIXES, sound_of
from horngate.pipelines.speech.audio.facts import Facts
from horngate.pipelines.speech.ctc.decoder import Speller
from horngate.pipelines.speech.ctc.language import Decoder, wished
from horngate.pipelines.speech.ctc.vocabulary import SAID, Units, normalised
from horngate.pipelines.speech.transcribe import preset, transcript_checks
from horngate.pipelines.speech.transcribe.answers import Answering, Told, taken
from horngate.pipelines.speech.transcribe.example import READING, spelling
from horngate.pipelines.speech.transcribe.judging import Judging
from horngate.pipelines.speech.transcribe.moonshine_input import MoonshineEar
from horngate.pipelines.speech.transcribe.recordings import Spoken, heard_at, looked_at, spoken_of, together
from horngate.pipelines.speech.transcribe.windows import Window
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.block_by_block import BlockByBlock
from horngate.pipelines.tasks.listed import Listed

if TYPE_CHECKING:
    from horngate.models.speech.moonshine import Moonshine
    from horngate.models.speech.transcription import Transcriber

STRIDES = {"words": 4, "characters": 2}  # frames of 10 ms that one frame of the answer stands for


class Pipeline(Answering, Judging, Listed, BlockByBlock):
    """`horngate speech transcribe`."""

    suffixes = SUFFIXES
    batch_size = 8
    handed_over = ("labels.json", "language.json")
    timed = ("real_time_factor", "seconds_computed")
    slicing = ("recording_length",)
    mistakes_title = "Worst transcripts"
    mistakes_said = "transcripts with the highest word error rates; marked: [truth → answer], a dot for nothing"
    ranges = {"inputs": (None, None), "outputs": (None, 0)}
    units: Units
    decoder: Decoder
    network: "Transcriber"
    moonshine: "Moonshine"

    def __init__(self, card: Any):
        super().__init__(card)
        self.written_to: dict[str, str] = {}

    # What is a row?

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Spoken:
        return spoken_of(data, suffix, beside[0] if beside else None, self.card.normaliser)

    def sort_of(self, target: str) -> str:
        return "transcripts"

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        found = transcript_checks.unlearnt(table, splits, self.card.normaliser, self.card.units)
        return found + checks.speaker_findings(table)

    def input_findings(self, table: pa.Table, facts: list[Spoken]) -> list[Finding]:
        return checks.sound_findings(table, facts) + transcript_checks.transcript_findings(table, facts)

    def settle(self, facts: list[Spoken]) -> None:
        model = preset.model_of(self.card)
        rate = preset.rate_of(self.card) if model == "moonshine" else self.card.rate or checks.common_rate(facts)
        self.schema = {"kind": "speech", "model": model, "rate": rate, "window": self.card.window}

    @property
    def from_preset(self) -> bool:
        """Whether the model is Moonshine's; else it is a CTC network."""
        return self.schema.get("model") == "moonshine"

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the first seconds of a recording, float32 `[samples]`, at most a window: what stands for it elsewhere."""
        return heard_at(data, self.schema["rate"])[: int(self.schema["window"] * self.schema["rate"])]

    def stacked(self, tensors: Any, rows: int | None = None) -> np.ndarray:
        return together(tensors, self.schema["rate"], rows)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        fact: Facts = looked_at(sound_of(data, float("inf")))
        level = 20 * float(np.log10(max(fact.level, 1e-6)))
        rate, highest = float(fact.rate), float(fact.highest)
        return {"seconds": fact.seconds, "rate": rate, "level": level, "highest frequency": highest}

    # How does it learn?

    def normal(self, targets: list[str | None]) -> list[str]:
        """Return targets as they are learnt and compared."""
        return [normalised(target or "", self.card.normaliser) for target in targets]

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        summary = (self._fit_preset if self.from_preset else self._fit_network)(table, splits, run, device)
        summary["protocol"] |= {
            "normaliser": f"{self.card.normaliser}: {SAID[self.card.normaliser]}",
            "window": f"recordings longer than {self.card.window:g} seconds are cut at silences",
        }
        return summary

    def _fit_preset(self, table: pa.Table, splits: np.ndarray, run: Run, device: Any) -> dict[str, Any]:
        from horngate.pipelines.speech.transcribe.moonshine_learning import MoonshineLearning

        with device.scope():
            self.moonshine = preset.opened(self.card)
        summary = MoonshineLearning(self, table, splits, run, device).climb()
        summary["protocol"]["decoding"] = preset.DECODING
        return summary | {"parameters": int(self.moonshine.logits.count_params())}

    def _fit_network(self, table: pa.Table, splits: np.ndarray, run: Run, device: Any) -> dict[str, Any]:
        from horngate.pipelines.speech.transcribe.learning import Learning

        texts = self.normal(table["target"].to_pylist())
        self.units = Units.of([texts[row] for row in np.flatnonzero(splits == "train")], self.card.units)
        self.decoder = wished(self.card, self.units, [texts[row] for row in np.flatnonzero(splits == "train")])
        self.schema |= {"stride": STRIDES[self.units.kind]}
        progress.notice(f"no pretrained weights: a CTC network ({self.card.network}) starts from random weights")
        with device.scope():
            self.network = self._built()
        summary = Learning(self, table, splits, run, device).climb()
        self.units.write(run / "labels.json")
        self.decoder.write(run / "language.json")
        spelt = f"{len(self.units)} {self.units.kind} of the training transcripts, and the blank of CTC"
        summary["protocol"] |= self.decoder.told() | {"units": spelt}
        return summary | {"parameters": int(self.network.answers.count_params())}

    def _built(self) -> "Transcriber":
        from horngate.models.speech.transcription import Transcriber, Wishes

        card = self.card
        wishes = Wishes(
            self.schema["rate"],
            len(self.units),
            self.schema["stride"],
            card.network,
            card.width,
            card.depth,
            masked=card.augment != "none",
            seed=card.seed,
        )
        return Transcriber.around(wishes)

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Spoken]) -> dict[str, dict[str, Any]]:
        from horngate.pipelines.speech.transcribe.baselines import usual

        return {"usual_transcript": usual(self.normal(table["target"].to_pylist()), splits, self.card.seed)}

    # What does it say?

    def adjust(self, run: Any, options: dict[str, Any]) -> dict[str, Any]:
        self.written_to = taken(options)
        wishes = {name: options[name] for name in ("decoding", "beam") if options.get(name) is not None}
        if not wishes:
            return {}
        if self.from_preset:
            raise UserError(
                "--decoding and --beam are for CTC networks; Moonshine writes its likeliest text token by token"
            )
        if wishes.get("decoding", "greedy") not in ("greedy", "beam"):
            raise UserError(f"--decoding should be greedy or beam. Received: {wishes['decoding']}")
        from dataclasses import replace

        self.decoder = replace(self.decoder, **wishes)
        return self.decoder.told()

    def remarks(self) -> list[str]:
        return [f"subtitles (.{kind}) were written to {folder}" for kind, folder in self.written_to.items()]

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        if self.from_preset:
            return
        self.units = Units.read(folder / "labels.json")
        self.decoder = Decoder.read(folder / "language.json", self.units)

    def load(self, run: Run) -> None:
        from horngate.models.speech.transcription import Transcriber

        if self.from_preset:
            self.moonshine = preset.kept(self.kept_model(run), run / "tokenizer.spm")
            return
        self.network = Transcriber.within(self.kept_model(run))
        if self.network.answers.output_shape[-1] != len(self.units) + 1:
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of units")

    @property
    def core(self) -> Any:
        return self.moonshine.logits if self.from_preset else self.network.answers

    @cached_property
    def _encoder(self) -> Any:
        return self.network.features()

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        return None if self.from_preset else np.asarray(self._encoder.predict_on_batch(batch))

    @property
    def ear(self) -> Speller | MoonshineEar:
        """What tells words from what the model makes of windows."""
        rate = self.schema["rate"]
        if self.from_preset:
            return MoonshineEar(self.moonshine, rate)
        return Speller(self.units, self.decoder, round(0.01 * rate) * self.schema["stride"], rate)

    def heard(self, batch: np.ndarray) -> list[Any]:
        """Return what the model makes of each window of a batch float32 `[n, samples]`."""
        return self.ear.heard(batch) if self.from_preset else list(self.forward(batch))

    def told(self, windows: list[Window], outputs: list[Any]) -> Told:
        """Return the transcript of a recording from what its windows gave."""
        return self.ear.told(windows, outputs)

    # How is it handed over?

    @property
    def unexportable(self) -> str | None:
        """Why the model can't be exported, or None."""
        return preset.UNEXPORTABLE if self.from_preset else None

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the text of each row by the best path, as an export's own example finds it."""
        from horngate.pipelines.speech.ctc.decoding import greedy

        return [{"text": self.units.text(greedy(scores))} for scores in outputs]

    def example(self) -> str:
        return READING.format(rate=self.schema["rate"])

    def saying(self) -> str:
        return spelling(self.units.kind)
