"""How keywords are measured, shown and handed over: also by speaker, in noise, and by what an answer costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from horngate.pipelines.data.reading import content, in_order, inputs_of
from horngate.pipelines.metrics import classification, trials
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.report.classification_curves import thinned
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, THIRD, bare
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.speech.audio.decoding import sound_of
from horngate.pipelines.speech.audio.facts import shown
from horngate.pipelines.speech.keywords import details
from horngate.pipelines.speech.keywords.reader import LONGEST
from horngate.pipelines.statistics.intervals import Spec, prepared
from horngate.pipelines.tasks.classification.display import LabelDisplay, LabelExporter
from horngate.pipelines.tasks.classification.evaluator import LabelEvaluator

SOURCE = '''import numpy as np
import soundfile
import soxr

RATE, SAMPLES = {rate}, {samples}


def read(path):
    """Float32 [samples], one channel, at the model's rate: the loudest part, or all of it in the middle of silence."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, "HQ").astype(np.float32)
    if len(samples) > SAMPLES:
        sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
        start = int((sums[SAMPLES:] - sums[:-SAMPLES]).argmax())
        samples = samples[start : start + SAMPLES]
    out = np.zeros(SAMPLES, np.float32)
    start = round((SAMPLES - len(samples)) * 0.5)
    out[start : start + len(samples)] = samples
    return out
'''
LEAST = 0.0005  # rates are drawn from this share on
TICKS = (0.001, 0.005, 0.02, 0.1, 0.3, 0.5)


def read_source(rate: int, samples: int) -> str:
    """Return the source of `read(path)`; channels that cancel each other are the one thing that it doesn't look for."""
    return SOURCE.format(rate=rate, samples=samples)


class KeywordEvaluator(LabelEvaluator):
    """Measures keywords as labels, and as trials of each."""

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        known = MEASURES | {"eer": Spec(trials.eer, higher_is_better=False)}
        names = () if outcome.several else ("eer",)
        names = (*classification.names_for(self.card.metrics, outcome), *names)
        return prepared({name: known[name] for name in dict.fromkeys(names)}, outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found = super().details(answers, outcome)
        groups = answers["group"].to_pylist()
        if any(group is not None for group in groups):
            found["speakers"] = details.by_speaker(groups, self.correct(answers))
            found["tables"] = [details.speakers_table(found["speakers"])]
        return found


class KeywordDisplay(LabelDisplay):
    """Plays clips, and shows what noise does."""

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found, outcome = super().plots(answers, report), self.task.evaluator.outcome(answers)
        equal = report.metrics.get("eer")
        if equal is not None and equal.value is not None:
            found.append(det(*trials.det(outcome), equal.value))
        noise = report.details.get("noise")
        return found + ([in_noise(noise["sweep"], noise["clean"])] if noise else [])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return what is to be heard of rows, at the rate that the model hears, and a picture of it."""
        heard = self.task.reader.input
        return [shown(heard.read(sound_of(data, LONGEST)), heard.rate) for data in inputs_of(rows)]

    def model_card(self) -> dict[str, str]:
        rate = self.fitted.schema["rate"]
        seconds = self.fitted.schema["samples"] / rate
        heard = (
            f"The model hears {seconds:g} seconds at {rate:,} samples per second, of a longer clip the loudest part."
        )
        return {"Sounds": f"{heard} Silence and other sounds get a label too."} | super().model_card()

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Add what noise does to the answers, and what an answer costs; validation rows are spared it."""
        if report.split == "validation" or self.fitted.decisions.several:
            return
        schema = self.fitted.schema
        rows = np.sort(np.random.default_rng(self.card.seed).permutation(table.num_rows)[: details.MOST_HEARD])
        heard, targets = self._heard(table.take(pa.array(rows)))
        if heard:
            report.details["noise"] = details.in_noise(
                heard, lambda clips: self._said(clips) == targets, self.card.seed
            )
        report.details["costs"] = details.cost_of(
            self.task.predictor.core, schema["samples"] / schema["rate"], len(heard[0])
        )
        report.details.setdefault("tables", []).extend(details.tables(report.details))

    def _heard(self, rows: pa.Table) -> tuple[list[np.ndarray], np.ndarray]:
        """Return what the model hears of the rows that can be read, and the places of their labels."""
        inputs = zip(*(rows[name].to_pylist() for name in ("input", "value", "error")), strict=True)
        found = in_order(lambda row: self.task.reader.read(content(*row)), inputs)
        kept = [(row, tensor) for row, tensor in enumerate(found) if not isinstance(tensor, Unreadable)]
        targets = self.fitted.decisions.encode(rows["target"].to_pylist())
        return [tensor for _, tensor in kept], np.array([targets[row].argmax() for row, _ in kept], np.int64)

    def _said(self, clips: np.ndarray) -> np.ndarray:
        """Return the place of the answered label of each clip, int64 `[n]`."""
        predictor, collate = self.task.predictor, self.task.reader.collate
        steps = range(0, len(clips), predictor.step)
        parts = [collate(list(clips[at : at + predictor.step]), predictor.step) for at in steps]
        scores = np.concatenate([predictor.forward(part) for part in parts])[: len(clips)]
        return self.fitted.decisions.chosen(scores)


class KeywordExporter(LabelExporter):
    """Hands a network over that hears samples."""

    def reading(self) -> str:
        return read_source(self.fitted.schema["rate"], self.fitted.schema["samples"])


def det(taken: np.ndarray, missed: np.ndarray, equal: float) -> Plot:
    """Return the detection error tradeoff on normal deviates (Martin et al. 1997).

    Args:
        taken, missed: rates of false alarms and of misses as the threshold rises, float64 `[n]`.
        equal: the equal error rate.
    """

    def draw(axes) -> None:

        x, y = (norm.ppf(np.clip(rates, LEAST, 1 - LEAST)) for rates in thinned(taken, missed))
        ends = norm.ppf([LEAST, TICKS[-1]])
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(x, y, color=ACCENT)
        axes.plot(*[[norm.ppf(np.clip(equal, LEAST, 1 - LEAST))]] * 2, "o", color=SECOND, markersize=7)
        names = [f"{100 * tick:g} %" for tick in TICKS]
        axes.set_xticks(norm.ppf(TICKS), names)
        axes.set_yticks(norm.ppf(TICKS), names)
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_xlabel("false alarms")
        axes.set_ylabel("misses")

    text = f"Detection error tradeoff of all classes' trials together: equal error rate {equal:.4f}."
    caption = f"Every row is one trial for each class. Dot: the equal error rate, {100 * equal:.2f} %."
    return Plot("det", "Detection error tradeoff", text, draw, caption, 360, 340)


def in_noise(rows: list[dict[str, Any]], clean: float) -> Plot:
    """Return accuracy by the ratio of speech to noise, one line for each noise.

    Args:
        rows: `noise`, `snr` in decibels and `accuracy`.
        clean: accuracy without added noise on the same rows.
    """
    noises = list(dict.fromkeys(row["noise"] for row in rows))
    ratios = sorted({row["snr"] for row in rows}, reverse=True)

    def draw(axes) -> None:
        for noise, colour in zip(noises, (ACCENT, SECOND, THIRD), strict=False):
            found = {row["snr"]: row["accuracy"] for row in rows if row["noise"] == noise}
            axes.plot(range(len(ratios)), [found[ratio] for ratio in ratios], "o-", color=colour, label=noise)
        axes.axhline(clean, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(ratios)), [f"{ratio:g} dB" for ratio in ratios])
        axes.set_ylim(0, 1.03)
        axes.set_ylabel("accuracy")
        axes.legend(loc="lower left")
        bare(axes, "y")

    parts = ", ".join(f"{row['noise']} at {row['snr']:g} dB {row['accuracy']:.3f}" for row in rows)
    text = f"Accuracy in added noise: {parts}; without noise {clean:.3f}."
    return Plot("noise", "Accuracy in noise", text, draw, "Dashed: without added noise.", 400, 300)
