"""What classifying tasks draw. Curves are thinned, so that a page doesn't grow with the rows."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.report.classification_curves import precision_recall, reliability, risk_coverage, roc
from horngate.pipelines.report.drawing import ACCENT, SECOND, bare, cells
from horngate.pipelines.report.plot import Plot

MOST_CELLS, WORST = 100, 30  # classes that a confusion matrix shows; of more, only so many of the worst
WRITTEN = 12  # classes up to which the cells of a confusion matrix hold their numbers
MOST_SCORES = 10_000_000  # rows by classes that are looked at


def plots(outcome: Outcome, labels: tuple[str, ...], details: dict[str, Any], temperature: float) -> list[Plot]:
    """Return the plots of an outcome.

    Args:
        outcome: answered rows, or a sample of them.
        details: of the report; counts there are of all rows.
        temperature: by which the scores were scaled.
    """
    if outcome.scores.size > MOST_SCORES:
        rows = np.random.default_rng(0).permutation(len(outcome.scores))[: MOST_SCORES // outcome.scores.shape[1]]
        outcome = outcome.at(np.sort(rows))
    found = [] if outcome.several else [_confusion(details["confusion"], labels)]
    found.append(per_class(details["per_class"]))
    if outcome.positive is not None and 0 < outcome.targets[:, outcome.positive].sum() < len(outcome.targets):
        point = details.get("operating_point")
        found += [precision_recall(outcome, labels, point), roc(outcome, labels, point)]
    if not outcome.several:
        found += [_histogram(outcome), risk_coverage(outcome), reliability(outcome, details, temperature)]
    return found


def _confusion(counts: list[list[int]], labels: tuple[str, ...]) -> Plot:
    table = np.array(counts, np.float64)
    total = np.maximum(table.sum(1, keepdims=True), 1)
    shown = np.arange(len(labels))
    if len(labels) > MOST_CELLS:
        recall = np.where(table.sum(1) > 0, table.diagonal() / total[:, 0], 2)
        shown = np.sort(np.argsort(recall, kind="stable")[:WORST])
    part, shares = table[np.ix_(shown, shown)], (table / total)[np.ix_(shown, shown)]
    names = [_short(labels[place]) for place in shown]

    def draw(axes) -> None:
        written = part if len(names) <= WRITTEN else None
        cells(axes, shares, names, written)
        axes.set_xlabel("answer")
        axes.set_ylabel("target")

    side = (54 if len(names) <= 5 else 34 if len(names) <= WRITTEN else 12) * len(names)
    margin = 45 + 6 * max(map(len, names))
    of = f"the {WORST} classes with the lowest recall" if len(shown) < len(labels) else f"{len(labels)} classes"
    text = f"Confusion matrix of {of}: rows are targets, columns answers, darker cells a larger share of their row."
    caption = "Shares of each row's targets" + ("; the numbers are rows." if len(names) <= WRITTEN else ".")
    if len(shown) < len(labels):
        caption += f" The {WORST} classes with the lowest recall of {len(labels)}."
    return Plot("confusion", "Confusion matrix", text, draw, caption, side + margin, side + margin)


def per_class(rows: list[dict[str, Any]]) -> Plot:
    """Return the plot of F1 by class, worst first."""
    known = sorted((row for row in rows if row["f1"] is not None), key=lambda row: row["f1"])
    shown = known[:WORST]

    def draw(axes) -> None:
        values = [row["f1"] for row in shown]
        axes.barh(range(len(shown)), values, 0.62, color=ACCENT)
        axes.set_yticks(range(len(shown)), [_short(row["label"]) for row in shown])
        for place, value in enumerate(values):
            axes.annotate(f"{value:.2f}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_xlim(0, 1.08)
        axes.set_xticks([0, 0.5, 1])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        bare(axes, "x")

    text = "F1 of each class, worst first: " + ", ".join(f"{row['label']} {row['f1']:.2f}" for row in shown[:10])
    caption = f"The {WORST} worst of {len(known)} classes." if len(shown) < len(known) else ""
    return Plot("per-class", "F1 by class, worst first", text, draw, caption, 380, 60 + 24 * max(len(shown), 2))


def _histogram(outcome: Outcome) -> Plot:
    right = outcome.chosen == outcome.truth
    said = outcome.scores[np.arange(len(right)), outcome.chosen]
    edges = np.linspace(min(1 / outcome.scores.shape[1], float(said.min())), 1, 26)
    counts = [np.histogram(said[side], edges)[0] for side in (right, ~right)]

    def draw(axes) -> None:
        width = edges[1] - edges[0]
        bottom = np.zeros(len(edges) - 1)
        for values, colour, name in zip(counts[::-1], (SECOND, ACCENT), ("wrong", "right"), strict=True):
            axes.bar(edges[:-1], values, width * 0.9, bottom, align="edge", color=colour, label=name)
            bottom = bottom + values
        axes.set_xlabel("score of the answer")
        axes.set_ylabel("rows")
        axes.legend(loc="best")
        bare(axes, "y")

    text = f"Histogram of the score of the answer: {int(right.sum())} right answers, {int((~right).sum())} wrong ones."
    return Plot("scores-histogram", "Scores of right and wrong answers", text, draw)


def _short(label: str, most: int = 18) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
