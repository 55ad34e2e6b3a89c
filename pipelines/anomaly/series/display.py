"""How series are shown on pages: strips of signal and score; and how an exported model's windows are read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.trailing import Window
from horngate.pipelines.metrics.anomaly.ranges import ranges_of
from horngate.pipelines.metrics.anomaly.series import Outcome
from horngate.pipelines.report.drawing import ACCENT, INK, LINE, MUTED, SECOND, THIRD
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyDisplay, AnomalyExporter
from horngate.pipelines.tasks.parts import Titles

MOST_SERIES, MOST_COLUMNS, MOST_POINTS = 6, 4, 600


class StepDisplay(AnomalyDisplay):
    """Draws series with their alarms, and shows the values of the columns that made a score, the strongest first."""

    titles = Titles(mistakes="Top stretches", mistakes_said="the strangest row of each stretch, strangest first")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        labels = Labels(self.fitted.schema["columns"], self.fitted.decisions.threshold)
        strips = plots(answers, self.task.evaluator.outcome(answers), labels)
        return [*strips, *super().plots(answers, report)]

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        found = []
        for data, answer in zip(inputs_of(rows), answers, strict=True):
            window = Window.of(data)
            values = dict(zip(window.names, window.values[-1].tolist(), strict=True))
            parts = [f"{reason['column']} {values[reason['column']]:.6g}" for reason in answer["reasons"]]
            found.append(Shown(text=", ".join(parts)))
        return found

    def model_card(self) -> dict[str, str]:
        said = (
            f"A score for every time step, from the step and the {self.card.window - 1} rows before it; nothing after it is "
            "looked at. 1 is the usual error, 2 twice as much. The first rows of a series have fewer rows before them and "
            "are judged by those alone; a forecast of the very first is the training mean. Neighbouring scores are alike, "
            "so the p-value of a step is right on average, but not independent of the next one's."
        )
        return super().model_card() | {"Answers": said}


class StepExporter(AnomalyExporter):
    """Hands over a model of windows."""

    def reading(self) -> str:
        return (
            "import numpy as np\n\n\n"
            "def read(path):  # float32 [window, columns]: the row and those before it, NaN for what is missing\n"
            "    return np.load(path).astype(np.float32)\n"
        )


@dataclass(frozen=True)
class Labels:
    """What the drawn numbers are called: the columns of the signal, and the run's threshold."""

    columns: list[str]
    threshold: float


@dataclass(frozen=True)
class _Strip:
    """One series to draw: its rows in order."""

    name: str
    values: np.ndarray  # [n, columns]
    scores: np.ndarray
    targets: np.ndarray
    chosen: np.ndarray
    times: tuple[str, str]


def plots(answers: pa.Table, outcome: Outcome, labels: Labels) -> list[Plot]:
    """Return one plot for each of the first few series, those with labelled windows before the others."""
    values = answers["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    values = values.reshape(answers.num_rows, len(labels.columns))
    times, groups = answers["time"].to_pylist(), answers["group"].to_pylist()
    strips = []
    for number in dict.fromkeys(outcome.series.tolist()):
        rows = np.flatnonzero(outcome.series == number)
        ends = (str(times[rows[0]]), str(times[rows[-1]]))
        parts = (values[rows], outcome.scores[rows], outcome.targets[rows], outcome.chosen[rows])
        strips.append(_Strip(groups[rows[0]] or "the series", *parts, ends))
    strips.sort(key=lambda strip: not (strip.targets == 1).any())
    return [_strip(strip, labels, place) for place, strip in enumerate(strips[:MOST_SERIES])]


def _strip(strip: _Strip, labels: Labels, place: int) -> Plot:
    true = strip.targets == 1
    windows = ranges_of(true)
    found = [bool(strip.chosen[first : last + 1].any()) for first, last in windows]
    false = sum(not true[first : last + 1].any() for first, last in ranges_of(strip.chosen))
    shown = np.argsort(-np.nanstd(strip.values, 0), kind="stable")[:MOST_COLUMNS]

    def draw(axes) -> None:
        _draw(axes, strip, labels.threshold, windows, found, np.sort(shown))

    said = f"{sum(found)} of {len(windows)} labelled windows found, {false} false alarms"
    caption = f"{strip.times[0]} to {strip.times[1]}. Upper half: the signal, each column from its least to its most"
    if len(labels.columns) > 1:
        caption += f" ({', '.join(labels.columns[column] for column in np.sort(shown))})"
    caption += ". Lower half: the score, dashed its threshold. Bands: labelled windows. Bars at the foot: alarms."
    text = f"Signal and score of {strip.name} over {len(strip.scores):,} rows: {said}."
    return Plot(f"series-{place}", f"{strip.name}: {said}", text, draw, caption, 720, 300)


def _draw(axes, strip: _Strip, threshold: float, windows: list, found: list[bool], shown: np.ndarray) -> None:
    for (first, last), hit in zip(windows, found, strict=True):
        axes.axvspan(first - 0.5, last + 0.5, color=THIRD, alpha=0.25, linewidth=0)
        axes.text((first + last) / 2, 2.1, "found" if hit else "missed", ha="center", color=INK if hit else SECOND)
    for column, colour in zip(shown, (ACCENT, MUTED, THIRD, INK), strict=False):
        axes.plot(*_envelope(_between(strip.values[:, column], 1.1, 2.0)), color=colour, linewidth=1)
    top = max(float(strip.scores.max()), threshold * 1.1)
    low = min(float(strip.scores.min()), threshold)
    scaled = (strip.scores - low) / max(top - low, 1e-9)
    axes.plot(*_envelope(scaled), color=ACCENT, linewidth=1.2)
    axes.axhline((threshold - low) / max(top - low, 1e-9), color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for first, last in ranges_of(strip.chosen):
        axes.plot([first, last], [-0.08, -0.08], "-", color=SECOND, linewidth=4, solid_capstyle="round")
    axes.axhline(1.05, color=LINE, linewidth=1)
    axes.set(xlim=(0, max(len(scaled) - 1, 1)), ylim=(-0.15, 2.3), xlabel="row")
    axes.set_yticks([0.5, 1.55], ["score", "signal"])
    axes.grid(False)


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values brought between two heights."""
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    return low + (values - least) / max(most - least, 1e-9) * (high - low)


def _envelope(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places and values, of very many the least and the greatest of each stretch, so that no peak is lost."""
    if len(values) <= 2 * MOST_POINTS:
        return np.arange(len(values)), values
    parts = np.array_split(np.arange(len(values)), MOST_POINTS)
    rows = np.array([sorted((part[values[part].argmin()], part[values[part].argmax()])) for part in parts]).ravel()
    return rows, values[rows]
