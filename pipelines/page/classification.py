"""What classifying tasks draw. Curves are thinned, so that a page doesn't grow with the rows."""

from dataclasses import replace
from typing import Any

import numpy as np

from horngate.pipelines.measure import calibration
from horngate.pipelines.measure.classification import Outcome, ece
from horngate.pipelines.page.plot import Plot

MOST_CELLS, WORST = 100, 30  # classes that a confusion matrix shows; of more, only so many of the worst
WRITTEN = 12  # classes up to which the cells of a confusion matrix hold their numbers
POINTS = 300  # of a curve


def plots(outcome: Outcome, labels: tuple[str, ...], details: dict[str, Any], temperature: float) -> list[Plot]:
    """Return the plots of an outcome.

    Args:
        outcome: answered rows, or a sample of them.
        details: of the report; counts there are of all rows.
        temperature: by which the scores were scaled.
    """
    found = [] if outcome.several else [_confusion(details["confusion"], labels)]
    found.append(_per_class(details["per_class"]))
    if outcome.positive is not None and 0 < outcome.targets[:, outcome.positive].sum() < len(outcome.targets):
        point = details.get("operating_point")
        found += [_precision_recall(outcome, labels, point), _roc(outcome, labels, point)]
    if not outcome.several:
        found += [_histogram(outcome), _risk_coverage(outcome), _reliability(outcome, details, temperature)]
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
        from horngate.pipelines.page.drawing import cells

        written = part if len(names) <= WRITTEN else None
        cells(axes, shares, names, written)
        axes.set_xlabel("answer")
        axes.set_ylabel("target")

    side = 150 + (54 if len(names) <= 5 else 44 if len(names) <= WRITTEN else 15) * len(names)
    of = f"the {WORST} classes with the lowest recall" if len(shown) < len(labels) else f"{len(labels)} classes"
    text = f"Confusion matrix of {of}: rows are targets, columns answers, darker cells a larger share of their row."
    caption = "Shares of each row's targets" + ("; the numbers are rows." if len(names) <= WRITTEN else ".")
    if len(shown) < len(labels):
        caption += f" The {WORST} classes with the lowest recall of {len(labels)}."
    return Plot("confusion", "Confusion matrix", text, draw, caption, max(side, 300), max(side - 30, 260))


def _per_class(rows: list[dict[str, Any]]) -> Plot:
    known = sorted((row for row in rows if row["f1"] is not None), key=lambda row: row["f1"])
    shown = known[:WORST]

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT, bare

        values = [row["f1"] for row in shown]
        axes.barh(range(len(shown)), values, 0.62, color=ACCENT)
        axes.set_yticks(range(len(shown)), [_short(row["label"]) for row in shown])
        for place, value in enumerate(values):
            axes.annotate(f"{value:.2f}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_xlim(0, 1.08)
        axes.set_xticks([0, 0.5, 1])
        axes.invert_yaxis()
        bare(axes, "x")

    text = "F1 of each class, worst first: " + ", ".join(f"{row['label']} {row['f1']:.2f}" for row in shown[:10])
    caption = f"The {WORST} worst of {len(known)} classes." if len(shown) < len(known) else ""
    return Plot("per-class", "F1 by class, worst first", text, draw, caption, 380, 60 + 24 * max(len(shown), 2))


def _precision_recall(outcome: Outcome, labels: tuple[str, ...], point: dict | None) -> Plot:
    hits, misses, _ = _ranked(outcome)
    recall, precision = hits / hits[-1], hits / (hits + misses)
    base = float((outcome.targets[:, outcome.positive] > 0).mean())

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT, MUTED, SECOND, square

        axes.plot(*_thinned(recall, precision), color=ACCENT)
        axes.axhline(base, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if point and point["ppv"] is not None:
            axes.plot([point["sensitivity"]], [point["ppv"]], "o", color=SECOND, markersize=7)
        square(axes, "recall (sensitivity)", "precision (PPV)")

    name = labels[outcome.positive]
    text = f"Precision against recall of {name}; a guess would have precision {base:.3f} everywhere."
    return Plot(
        "precision-recall", "Precision and recall", text, draw, _of(name, point, "share of positives"), 340, 330
    )


def _roc(outcome: Outcome, labels: tuple[str, ...], point: dict | None) -> Plot:
    hits, misses, _ = _ranked(outcome)

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT, MUTED, SECOND, square

        found, false = np.append(0, hits / hits[-1]), np.append(0, misses / misses[-1])
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(*_thinned(false, found), color=ACCENT)
        if point and None not in (point["sensitivity"], point["specificity"]):
            axes.plot([1 - point["specificity"]], [point["sensitivity"]], "o", color=SECOND, markersize=7)
        square(axes, "1 − specificity", "sensitivity")

    name = labels[outcome.positive]
    text = f"ROC curve of {name}: sensitivity against one minus specificity."
    return Plot("roc", "ROC", text, draw, _of(name, point, "a guess"), 340, 330)


def _histogram(outcome: Outcome) -> Plot:
    right = outcome.chosen == outcome.truth
    said = outcome.scores[np.arange(len(right)), outcome.chosen]
    edges = np.linspace(min(1 / outcome.scores.shape[1], float(said.min())), 1, 26)
    counts = [np.histogram(said[side], edges)[0] for side in (right, ~right)]

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT, SECOND, bare

        width = edges[1] - edges[0]
        bottom = np.zeros(len(edges) - 1)
        for values, colour, name in zip(counts[::-1], (SECOND, ACCENT), ("wrong", "right"), strict=True):
            axes.bar(edges[:-1], values, width * 0.9, bottom, align="edge", color=colour, label=name)
            bottom = bottom + values
        axes.set_xlabel("score of the answer")
        axes.set_ylabel("rows")
        axes.legend(loc="upper left")
        bare(axes, "y")

    text = f"Histogram of the score of the answer: {int(right.sum())} right answers, {int((~right).sum())} wrong ones."
    return Plot("scores-histogram", "Scores of right and wrong answers", text, draw)


def _risk_coverage(outcome: Outcome) -> Plot:
    said = outcome.scores[np.arange(len(outcome.chosen)), outcome.chosen]
    wrong = (outcome.chosen != outcome.truth)[np.argsort(-said, kind="stable")]
    answered = np.arange(1, len(wrong) + 1)
    risk = np.cumsum(wrong) / answered

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT

        start = min(len(risk) // 100, 20)  # the first rows alone say nothing of a rate
        axes.plot(*_thinned(answered[start:] / len(wrong), risk[start:]), color=ACCENT)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(float(risk[start:].max()) * 1.15, 0.01))
        axes.set_xlabel("share of rows answered, surest first")
        axes.set_ylabel("share of these that is wrong")

    half = risk[(len(risk) - 1) // 2]
    text = f"Errors among the surest answers: {half:.3f} of the surest half is wrong, {risk[-1]:.3f} of all."
    caption = f"{half:.1%} of the surest half is wrong, {risk[-1]:.1%} of all."
    return Plot("risk-coverage", "Risk and coverage", text, draw, caption)


def _reliability(outcome: Outcome, details: dict[str, Any], temperature: float) -> Plot:
    scaled = temperature != 1.0
    before = replace(outcome, scores=calibration.at_temperature(outcome.scores, 1 / temperature, False))
    bins = {"after scaling" if scaled else "scores": details["reliability"]}
    if scaled:
        bins = {"before scaling": calibration.reliability(before)} | bins

    def draw(axes) -> None:
        from horngate.pipelines.page.drawing import ACCENT, MUTED, SECOND, square

        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        most = max(part["rows"] for parts in bins.values() for part in parts)
        for (name, parts), colour in zip(bins.items(), (SECOND, ACCENT)[-len(bins) :], strict=True):
            sure, right = ([part[word] for part in parts] for word in ("confidence", "accuracy"))
            axes.plot(sure, right, color=colour, linewidth=1.4, label=name)
            sizes = [12 + 90 * part["rows"] / most for part in parts]
            axes.scatter(sure, right, sizes, color=colour, linewidths=0)
        square(axes, "mean score of the answer", "share that is right")
        if len(bins) > 1:
            axes.legend(loc="upper left")

    errors = [float(ece(part)(np.ones(len(part.scores)))) for part in (before, outcome)]
    caption = "On the dashed line scores mean what they say; larger dots hold more rows."
    if scaled:
        caption += (
            f" Calibration error {errors[0]:.3f} before the temperature {temperature:.2f}, {errors[1]:.3f} after."
        )
    text = f"Reliability diagram; expected calibration error {errors[1]:.3f}" + (
        f", {errors[0]:.3f} before temperature scaling." if scaled else "."
    )
    return Plot("reliability", "Reliability", text, draw, caption, 360, 350, section="calibration")


def _ranked(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts of positives and negatives down to each score of the positive class, and the scores, falling."""
    ranking = outcome.ranking
    hits = np.cumsum(ranking.positive)[ranking.ends].astype(np.float64)
    misses = np.cumsum(~ranking.positive)[ranking.ends].astype(np.float64)
    return hits, misses, outcome.scores[ranking.order, outcome.positive][ranking.ends]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `POINTS` points of a curve, its ends among them."""
    if len(x) <= POINTS:
        return x, y
    places = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    return x[places], y[places]


def _of(name: str, point: dict | None, dashed: str) -> str:
    said = f"Of {name}. Dashed: {dashed}."
    return said if point is None else f"{said} Dot: the operating point at {point['threshold']:.3f}."


def _short(label: str, most: int = 18) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
