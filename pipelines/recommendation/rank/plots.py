"""What ranking tasks draw: how scores part clicks from the rest, and whether they mean what they say."""

import numpy as np

from horngate.pipelines.metrics import scoring
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.report.classification_curves import thinned
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, bare, square
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.statistics.intervals import Uncomputable

BARS = 30


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
