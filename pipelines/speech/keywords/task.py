"""Short sounds into classes."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import content, in_order, inputs_of
from horngate.pipelines.metrics import classification, trials
from horngate.pipelines.metrics.classification import MEASURES, Outcome, Spec
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.speech.audio import checks, players
from horngate.pipelines.speech.audio.backgrounds import backgrounds
from horngate.pipelines.speech.audio.decoding import SUFFIXES, Sound, sound_of
from horngate.pipelines.speech.audio.facts import Facts, facts_of
from horngate.pipelines.speech.audio.views import View
from horngate.pipelines.speech.keywords import baselines, details
from horngate.pipelines.speech.keywords import plots as drawn
from horngate.pipelines.speech.keywords.example import read_source
from horngate.pipelines.speech.keywords.reader import Ear, window_of
from horngate.pipelines.statistics.intervals import prepared
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.classifier import Classifier
from horngate.pipelines.tasks.labels import Labels

if TYPE_CHECKING:
    from horngate.models.network import Network

LONGEST = 60.0  # seconds of a clip
PRESET_RATE = 16_000  # samples per second that Whisper and Moonshine hear
# --augment -> what is masked, stretched and tilted of the spectra while a network learns
MASKED: dict[str, dict[str, Any]] = {"none": {"times": 0, "bands": 0}, "light": {"times": 1, "bands": 1}}
MASKED["strong"] = {"times": 1, "bands": 1, "time_share": 0.1, "band_share": 0.15}
MASKED["strong"] |= {"stretch": 0.15, "tempo": 0.15, "tilt": 0.1}
LEAST_STEPS = 3000  # of learning from a random start, where its epochs are not given
MOST_KEPT = 256 << 20  # bytes of samples that are kept in memory between epochs
ADVICE = "; `horngate speech keywords listen` finds keywords in long recordings"


class Pipeline(Classifier):
    """`horngate speech keywords`."""

    suffixes = SUFFIXES
    batch_size = 32
    scratch_rate = 6e-3
    ranges = {"inputs": (None, None), "outputs": (0, 1)}

    def __init__(self, card: Any):
        super().__init__(card)
        if card.noises and card.augment == "none":
            raise UserError("--noises are mixed in by --augment light or strong, not by none")
        self.kept: dict[bytes, Sound] = {}
        self.room = MOST_KEPT
        self.noises: tuple[np.ndarray, ...] = ()

    # What is a row?

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return facts_of(sound_of(data, LONGEST, suffix, ADVICE))

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        return super().findings(table, splits) + checks.speaker_findings(table)

    def input_findings(self, table: pa.Table, facts: list[Facts]) -> list[Finding]:
        return checks.sound_findings(table, facts)

    def settle(self, facts: list[Facts]) -> None:
        rate = self._rate(facts)
        window = self.card.window or window_of([fact.seconds for fact in facts])
        self.schema = {"kind": "sound", "rate": rate, "samples": round(window * rate)}
        self.noises = backgrounds(self.card.noises, rate) if self.card.noises else ()

    def _rate(self, facts: list[Facts]) -> int:
        if self.card.backbone is None:
            return self.card.rate or checks.common_rate(facts)
        if self.card.rate not in (None, PRESET_RATE):
            raise UserError(f"presets hear {PRESET_RATE:,} samples per second: leave --rate out, or the --backbone")
        return PRESET_RATE

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        view = None if seed is None else View(self.card.augment, seed, self.noises)
        return Ear(self.schema["rate"], self.schema["samples"]).read(self._sound(data, view is not None), view)

    def _sound(self, data: bytes, again: bool) -> Sound:
        """Return the recording; what will be heard `again` is decoded once, as long as there is room."""
        sound = self.kept.get(data)
        if sound is None:
            sound = sound_of(data, LONGEST, "", ADVICE)
            if again and self.room > 0:
                self.kept[data] = sound
                self.room -= len(data) + sound.samples.nbytes
        return sound

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        fact = facts_of(sound_of(data, LONGEST))
        return {
            "seconds": fact.seconds,
            "rate": float(fact.rate),
            "level": 20 * np.log10(max(fact.level, 1e-6)),
            "highest frequency": fact.highest,
        }

    # How does it learn?

    @property
    def variation(self) -> str:
        return self.card.augment + (f" in {self.card.noises}" if self.card.noises else "")

    @property
    def views(self) -> int:
        return self.card.views if self.card.augment != "none" else 1

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone is not None and self.card.weights != "none"

    def build(self, labels: Labels) -> "Network":
        from horngate.models.network import Network

        encoder = self._started() if self.card.backbone is None else self._preset()
        if not self.pretrained:
            progress.notice(
                f"no pretrained weights: {self.card.backbone or self.card.model} starts from random weights"
            )
        return Network.around(encoder, len(labels.labels), labels.several, seed=self.card.seed)

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        batch = self.card.batch_size or 32
        rows = max(int((splits == "train").sum()), 1)
        self.scratch_epochs = int(np.clip(LEAST_STEPS * batch / rows, 30, 200))
        summary = super().fit(table, splits, fingerprints, run, device)
        self.kept.clear()
        return summary

    def _started(self) -> Any:
        from horngate.models.speech.keywords import keyword_encoder
        from horngate.models.speech.spectra import Masking

        masking = Masking(**MASKED[self.card.augment], seed=self.card.seed, name="masking")
        return keyword_encoder(self.card.model, self.schema["rate"], self.schema["samples"], masking)

    def _preset(self) -> Any:
        from horngate.models.backbones.pictures import BackboneError
        from horngate.models.speech.encoders import speech_encoder

        try:
            return speech_encoder(pretrained.found(self.card.backbone), self.schema["samples"], self.pretrained)
        except BackboneError as problem:
            raise UserError(str(problem)) from None

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        return {"mfcc_kernel_ridge": baselines.kernel_ridge(self.labels, table, splits, facts, self.card.seed)}

    # How good is it?

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        known = MEASURES | {"eer": Spec(trials.eer, higher_is_better=False)}
        names = () if outcome.several else ("eer",)
        names = (*classification.names_for(self.card.metrics, outcome), *names)
        return prepared({name: known[name] for name in dict.fromkeys(names)}, outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found = super().details(answers, outcome)
        groups = answers["group"].to_pylist()
        if any(group is not None for group in groups):
            found["speakers"] = details.by_speaker(groups, self.right(answers))
            found["tables"] = [details.speakers_table(found["speakers"])]
        return found

    def pictured(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Add what noise does to the answers, and what an answer costs; validation rows are spared it."""
        if report.split == "validation" or self.labels.several:
            return
        rows = np.sort(np.random.default_rng(self.card.seed).permutation(table.num_rows)[: details.MOST_HEARD])
        heard, targets = self._heard(table.take(pa.array(rows)))
        if heard:
            report.details["noise"] = details.in_noise(
                heard, lambda clips: self._said(clips) == targets, self.card.seed
            )
        report.details["costs"] = details.cost_of(
            self.core, self.schema["samples"] / self.schema["rate"], len(heard[0])
        )
        report.details.setdefault("tables", []).extend(details.tables(report.details))

    def _heard(self, rows: pa.Table) -> tuple[list[np.ndarray], np.ndarray]:
        """Return what the model hears of the rows that can be read, and the places of their labels."""
        found = in_order(lambda row: self.read(content(*row)), self._inputs(rows))
        kept = [(row, tensor) for row, tensor in enumerate(found) if not isinstance(tensor, Unreadable)]
        targets = self.labels.encode(rows["target"].to_pylist())
        return [tensor for _, tensor in kept], np.array([targets[row].argmax() for row, _ in kept], np.int64)

    def _inputs(self, rows: pa.Table) -> Iterator[tuple]:
        return zip(*(rows[name].to_pylist() for name in ("input", "value", "error")), strict=True)

    def _said(self, clips: np.ndarray) -> np.ndarray:
        """Return the place of the answered label of each clip, int64 `[n]`."""
        steps = range(0, len(clips), self.step)
        parts = [self.stacked(list(clips[at : at + self.step]), self.step) for at in steps]
        scores = np.concatenate([self.forward(part) for part in parts])[: len(clips)]
        return self.labels.chosen(scores)

    # What does its page show?

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found, outcome = super().plots(answers, report), self.outcome(answers)
        equal = report.metrics.get("eer")
        if equal is not None and equal.value is not None:
            found.append(drawn.det(*trials.det(outcome), equal.value))
        noise = report.details.get("noise")
        return found + ([drawn.in_noise(noise["sweep"], noise["clean"])] if noise else [])

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return what is to be heard of rows, at the rate that the model hears, and a picture of it."""
        ear = Ear(self.schema["rate"], self.schema["samples"])
        return [players.shown(ear.read(sound_of(data, LONGEST)), ear.rate) for data in inputs_of(rows)]

    def model_card(self) -> dict[str, str]:
        seconds, rate = self.schema["samples"] / self.schema["rate"], self.schema["rate"]
        heard = (
            f"The model hears {seconds:g} seconds at {rate:,} samples per second, of a longer clip the loudest part."
        )
        return {"Sounds": f"{heard} Silence and other sounds get a label too."} | super().model_card()

    # How is it handed over?

    def example(self) -> str:
        return read_source(self.schema["rate"], self.schema["samples"])
