"""How a ranker shows itself on pages."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics import scoring
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.report.classification_curves import thinned
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, bare, square
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.statistics.intervals import Uncomputable
from horngate.pipelines.tables.columns import values_in
from horngate.pipelines.tasks.bases import PageDisplay
from horngate.pipelines.tasks.parts import Titles

SHOWN = 8  # cells of a row
BARS = 30


class RankDisplay(PageDisplay):
    """Shows how scores part clicks from the rest, and the first cells of rows."""

    titles = Titles(mistakes="Farthest off", mistakes_said="rows with the highest losses")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return plots(self.task.evaluator.outcome(answers))

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        found, reader = [], self.task.reader
        for data in inputs_of(rows):
            cells = reader.whole_cells(data)
            values = {
                column["name"]: " + ".join(values_in(cells.get(column["name"]))) for column in reader.columns[:SHOWN]
            }
            found.append(Shown(text=", ".join(f"{name} {value or '–'}"[:40] for name, value in values.items())))
        return found

    def model_card(self) -> dict[str, str]:
        encoder = self.fitted.decisions
        if encoder.clicks:
            said = (
                f"The probability of {encoder.names[1]}, for rows shown as those of the training were. Who was shown "
            )
            said += "what was somebody's choice; scores of what was never shown to such users are a guess."
        else:
            said = (
                f"The rating to expect, {encoder.low:g} to {encoder.high:g}. People rate what they chose; the rating "
            )
            said += "that they would give to what they left out is likely to be lower."
        return {"Answers": said} | super().model_card()


def plots(outcome: Outcome) -> list[Plot]:
    """Return the plots of an outcome: of clicks the ROC curve, of both the scores or errors and their calibration."""
    if not outcome.clicks:
        return [_errors(outcome), _calibration(outcome)]
    try:
        return [_roc(outcome), _scores(outcome), _calibration(outcome)]
    except Uncomputable:
        return [_scores(outcome), _calibration(outcome)]


def _roc(outcome: Outcome) -> Plot:
    ranking = outcome.ranking
    hits = np.append(0.0, np.cumsum(ranking.positive)[ranking.ends])
    misses = np.append(0.0, np.cumsum(~ranking.positive)[ranking.ends])

    def draw(axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(*thinned(misses / misses[-1], hits / hits[-1]), color=ACCENT)
        square(axes, "share of the rest", "share of the clicks")

    text = "ROC curve: the share of the clicks against the share of the rest, down to each score."
    return Plot("roc", "ROC", text, draw, "Dashed: a guess.", 340, 330)


def _scores(outcome: Outcome) -> Plot:
    edges = np.linspace(0, max(float(outcome.scores.max()), 1e-6), BARS + 1)
    parts = {"no click": outcome.targets == 0, "click": outcome.targets == 1}
    parts = {name: rows for name, rows in parts.items() if rows.any()}
    shares = {name: np.histogram(outcome.scores[rows], edges)[0] / rows.sum() for name, rows in parts.items()}

    def draw(axes) -> None:
        for (name, values), colour in zip(shares.items(), (SECOND, ACCENT)[-len(shares) :], strict=True):
            axes.bar(edges[:-1], values, np.diff(edges), align="edge", color=colour, alpha=0.6, label=name)
        axes.set(xlabel="score", ylabel="share of the rows of a kind")
        axes.legend(loc="best")
        bare(axes, "y")

    means = ", ".join(f"{float(outcome.scores[rows].mean()):.3f} for {name}" for name, rows in parts.items())
    return Plot("scores", "Scores", f"Histograms of the scores; their mean is {means}.", draw)


def _errors(outcome: Outcome) -> Plot:
    errors = outcome.scores - outcome.targets
    counts, edges = np.histogram(errors, BARS)

    def draw(axes) -> None:
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.9, align="edge", color=ACCENT)
        axes.set(xlabel="score − rating", ylabel="rows")
        bare(axes, "y")

    low, middle, high = np.quantile(errors, [0.1, 0.5, 0.9])
    text = f"Histogram of errors: a tenth lies below {low:.2f}, half below {middle:.2f}, a tenth above {high:.2f}."
    return Plot("errors", "Errors", text, draw)


def _calibration(outcome: Outcome) -> Plot:
    parts = scoring.reliability(outcome)
    said, true = ([part[word] for part in parts] for word in ("score", "target"))

    def draw(axes) -> None:
        ends = [min(*said, *true), max(*said, *true)]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(said, true, "o-", color=ACCENT, linewidth=1, markersize=5)
        axes.set(xlabel="mean score", ylabel="share of clicks" if outcome.clicks else "mean rating")

    gap = max(abs(one - other) for one, other in zip(said, true, strict=True))
    caption = (
        f"Bins of about equal numbers of rows; the largest gap is {gap:.3f}. On the dashed line scores mean what they "
    )
    caption += "say."
    text = f"Calibration: mean target against mean score in {len(parts)} bins; the largest gap is {gap:.3f}."
    return Plot("reliability", "Calibration", text, draw, caption, 360, 350, section="calibration")
