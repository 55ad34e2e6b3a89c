"""Curves of classifying tasks: what trades for what as scores rise, and whether scores mean what they say."""

from dataclasses import replace
from typing import Any

import numpy as np

from horngate.pipelines.metrics.classification import Outcome, ece
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, square
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.statistics import calibration

POINTS = 300  # of a curve
NEXT_TO_NOTHING = 0.02  # a temperature so near to 1 is not drawn beside 1


def precision_recall(outcome: Outcome, labels: tuple[str, ...], point: dict | None) -> Plot:
    """Return precision against recall of the positive class, with the operating point, where there is one."""
    hits, misses, _ = _ranked(outcome)
    recall, precision = hits / hits[-1], hits / (hits + misses)
    base = float((outcome.targets[:, outcome.positive] > 0).mean())

    def draw(axes) -> None:
        axes.plot(*thinned(recall, precision), color=ACCENT)
        axes.axhline(base, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if point and point["ppv"] is not None:
            axes.plot([point["sensitivity"]], [point["ppv"]], "o", color=SECOND, markersize=7)
        square(axes, "recall (sensitivity)", "precision (PPV)")

    name = labels[outcome.positive]
    text = f"Precision against recall of {name}; a guess would have precision {base:.3f} everywhere."
    return Plot(
        "precision-recall", "Precision and recall", text, draw, _of(name, point, "share of positives"), 340, 330
    )


def roc(outcome: Outcome, labels: tuple[str, ...], point: dict | None) -> Plot:
    """Return the ROC curve of the positive class, with the operating point, where there is one."""
    hits, misses, _ = _ranked(outcome)

    def draw(axes) -> None:
        found, false = np.append(0, hits / hits[-1]), np.append(0, misses / misses[-1])
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(*thinned(false, found), color=ACCENT)
        if point and None not in (point["sensitivity"], point["specificity"]):
            axes.plot([1 - point["specificity"]], [point["sensitivity"]], "o", color=SECOND, markersize=7)
        square(axes, "1 − specificity", "sensitivity")

    name = labels[outcome.positive]
    text = f"ROC curve of {name}: sensitivity against one minus specificity."
    return Plot("roc", "ROC", text, draw, _of(name, point, "a guess"), 340, 330)


def risk_coverage(outcome: Outcome) -> Plot:
    """Return the share of wrong answers among the surest ones, by their share of all (Geifman and El-Yaniv 2017)."""
    said = outcome.scores[np.arange(len(outcome.chosen)), outcome.chosen]
    wrong = (outcome.chosen != outcome.truth)[np.argsort(-said, kind="stable")]
    answered = np.arange(1, len(wrong) + 1)
    risk = np.cumsum(wrong) / answered

    def draw(axes) -> None:
        start = min(len(risk) // 100, 20)  # the first rows alone say nothing of a rate
        axes.plot(*thinned(answered[start:] / len(wrong), risk[start:]), color=ACCENT)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(float(risk[start:].max()) * 1.15, 0.01))
        axes.set_xlabel("share of rows answered, surest first")
        axes.set_ylabel("share of these that is wrong")

    half = risk[(len(risk) - 1) // 2]
    text = f"Errors among the surest answers: {half:.3f} of the surest half is wrong, {risk[-1]:.3f} of all."
    caption = f"{100 * half:.1f} % of the surest half is wrong, {100 * risk[-1]:.1f} % of all."
    return Plot("risk-coverage", "Risk and coverage", text, draw, caption)


def reliability(outcome: Outcome, details: dict[str, Any], temperature: float) -> Plot:
    """Return the reliability diagram, before the temperature and after it; the bins after it are those of the report."""
    scaled = abs(temperature - 1) >= NEXT_TO_NOTHING
    before = replace(outcome, scores=calibration.at_temperature(outcome.scores, 1 / temperature, False))
    bins = {"after scaling" if scaled else "scores": details["reliability"]}
    if scaled:
        bins = {"before scaling": calibration.reliability(before)} | bins

    def draw(axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        most = max(part["rows"] for parts in bins.values() for part in parts)
        for (name, parts), colour in zip(bins.items(), (SECOND, ACCENT)[-len(bins) :], strict=True):
            sure, right = ([part[word] for part in parts] for word in ("confidence", "accuracy"))
            axes.plot(sure, right, color=colour, linewidth=1, alpha=0.4)
            sizes = [12 + 90 * part["rows"] / most for part in parts]
            axes.scatter(sure, right, sizes, color=colour, linewidths=0, label=name)
        square(axes, "mean score of the answer", "share that is right")
        if len(bins) > 1:
            for dot in axes.legend(loc="best").legend_handles:
                dot.set_sizes([40])

    errors = [float(ece(part)(np.ones(len(part.scores)))) for part in (before, outcome)]
    said = f"Calibration error {errors[1]:.3f}"
    said += f", {errors[0]:.3f} before scaling by the temperature {temperature:.2f}." if scaled else "."
    if temperature != 1.0 and not scaled:
        said += f" Scaling by the temperature {temperature:.2f} changed next to nothing."
    caption = f"{said} On the dashed line scores mean what they say; larger dots hold more rows."
    text = f"Reliability diagram: the share of right answers against their mean score. {said}"
    return Plot("reliability", "Reliability", text, draw, caption, 360, 350, section="calibration")


def _ranked(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts of positives and negatives down to each score of the positive class, and the scores, falling."""
    ranking = outcome.ranking
    hits = np.cumsum(ranking.positive)[ranking.ends].astype(np.float64)
    misses = np.cumsum(~ranking.positive)[ranking.ends].astype(np.float64)
    return hits, misses, outcome.scores[ranking.order, outcome.positive][ranking.ends]


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `POINTS` points of a curve, its ends among them."""
    if len(x) <= POINTS:
        return x, y
    places = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    return x[places], y[places]


def _of(name: str, point: dict | None, dashed: str) -> str:
    said = f"Of {name}. Dashed: {dashed}."
    return said if point is None else f"{said} Dot: the operating point at {point['threshold']:.3f}."
