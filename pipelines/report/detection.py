"""What detecting tasks draw: how scores part anomalies from the rest. Curves are thinned, so that a page stays small."""

import numpy as np

from horngate.pipelines.metrics.anomaly.detection import Outcome, rates_at
from horngate.pipelines.report.classification_curves import thinned
from horngate.pipelines.report.drawing import ACCENT, INK, MUTED, SECOND, bare, square
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.statistics.intervals import Uncomputable

MOST_BINS = 40


def plots(outcome: Outcome, threshold: float) -> list[Plot]:
    """Return the plots of an outcome: curves where the truth is known of both kinds, and the histogram of scores."""
    try:
        ranking = outcome.ranking
    except Uncomputable:
        return [_histogram(outcome, threshold)]
    hits = np.cumsum(ranking.positive)[ranking.ends].astype(np.float64)
    misses = np.cumsum(~ranking.positive)[ranking.ends].astype(np.float64)
    point = rates_at(outcome, threshold)
    return [_roc(hits, misses, point), _precision_recall(hits, misses, point), _histogram(outcome, threshold)]


def _roc(hits: np.ndarray, misses: np.ndarray, point: dict) -> Plot:
    def draw(axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(*thinned(np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])), color=ACCENT)
        axes.plot([point["false_alarm_rate"]], [point["recall"]], "o", color=SECOND, markersize=7)
        square(axes, "share of normal rows with an alarm", "share of anomalies found")

    caption = "Dashed: a guess. Dot: the run's threshold."
    text = f"ROC curve: the run's threshold finds {point['recall']:.3f} of the anomalies, with an alarm for "
    text += f"{point['false_alarm_rate']:.3f} of the normal rows."
    return Plot("roc", "ROC", text, draw, caption, 340, 330)


def _precision_recall(hits: np.ndarray, misses: np.ndarray, point: dict) -> Plot:
    recall, precision = hits / hits[-1], hits / (hits + misses)
    base = hits[-1] / (hits[-1] + misses[-1])

    def draw(axes) -> None:
        axes.plot(*thinned(recall, precision), color=ACCENT)
        axes.axhline(base, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if point["precision"] is not None:
            axes.plot([point["recall"]], [point["precision"]], "o", color=SECOND, markersize=7)
        square(axes, "share of anomalies found", "share of alarms that are right")

    caption = f"Dashed: prevalence, {base:.3f}. Dot: the run's threshold."
    text = f"Precision against recall of anomalies; a guess would have precision {base:.3f} everywhere."
    return Plot("precision-recall", "Precision and recall", text, draw, caption, 340, 330)


def _histogram(outcome: Outcome, threshold: float) -> Plot:
    """Return the scores of normal rows and anomalies, each as shares of their own, so that few anomalies can be seen."""
    low, high = float(outcome.scores.min()), float(outcome.scores.max())
    bins = int(np.clip(2 * len(outcome.scores) ** 0.5, 8, MOST_BINS))
    edges = np.linspace(min(low, threshold), max(high, threshold) + 1e-6, bins + 1)
    kinds = {
        "normal": outcome.targets == 0,
        "anomalous": outcome.targets == 1,
        "not labelled": np.isnan(outcome.targets),
    }
    kinds = {name: rows for name, rows in kinds.items() if rows.any()}
    shares = {name: np.histogram(outcome.scores[rows], edges)[0] / rows.sum() for name, rows in kinds.items()}

    def draw(axes) -> None:
        colours = {"normal": ACCENT, "anomalous": SECOND, "not labelled": MUTED}
        for name, values in shares.items():
            axes.bar(edges[:-1], values, np.diff(edges), align="edge", color=colours[name], alpha=0.6, label=name)
        axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="score", ylabel="share of the rows of a kind")
        axes.legend(loc="best")
        bare(axes, "y")

    counts = ", ".join(f"{int(rows.sum()):,} {name}" for name, rows in kinds.items())
    medians = ", ".join(f"{name} {np.median(outcome.scores[rows]):.2f}" for name, rows in kinds.items())
    text = f"Histogram of scores of {counts} rows, each kind as shares of its own; medians: {medians}."
    return Plot("scores-histogram", "Scores", text, draw, f"{counts} rows. Dashed: the threshold.", 460, 290)
