"""What detecting tasks draw of heat maps and of kinds of defects."""

from typing import Any

import numpy as np

from horngate.pipelines.report.drawing import ACCENT, MUTED, bare
from horngate.pipelines.report.plot import Plot

ROW = 26  # pixels of a figure's height per bar
MOST_BARS = 30


def overlap(curve: dict[str, list[float]], area: float | None) -> Plot:
    """Return the plot of the per-region overlap against the false positive rate, as `overlap_curve` gives it."""
    rates, overlaps = np.array(curve["false_positive_rate"]), np.array(curve["overlap"])

    def draw(axes) -> None:
        axes.plot(rates, rates, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(rates, overlaps, color=ACCENT)
        axes.set(xlabel="share of the other pixels above", ylabel="mean share of a defect above", ylim=(0, 1.02))
        axes.set_xlim(0, rates[-1])
        bare(axes, "both")

    said = "" if area is None else f" aupro, the mean height, is {area:.3f}."
    text = f"Per-region overlap up to a false positive rate of {rates[-1]:g}: where 5 % of the pixels without a defect lie "
    text += f"above a threshold, so do {np.interp(0.05, rates, overlaps):.3f} of a defect's.{said}"
    caption = "How much of each connected defect lies above a threshold, all defects counting alike. Dashed: a guess."
    return Plot("overlap", "Heat maps and masks", text, draw, caption, 400, 310)


def defects(found: list[dict[str, Any]]) -> Plot:
    """Return the plot of how well each kind of anomaly is told from normal rows."""
    shown = sorted((row for row in found if row["auroc"] is not None), key=lambda row: row["auroc"])[:MOST_BARS]

    def draw(axes) -> None:
        names = [f"{row['defect']} ({row['rows']})" for row in shown]
        axes.barh(names, [row["auroc"] for row in shown], color=ACCENT)
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="auroc against the normal rows", xlim=(0, 1))
        axes.invert_yaxis()
        bare(axes, "x")

    worst = shown[0]
    text = (
        f"Area under the ROC curve of each kind of anomaly; the lowest is {worst['defect']} with {worst['auroc']:.3f}."
    )
    caption = "Hardest first, with the number of rows. Dashed: a guess."
    return Plot("kinds", "Kinds of anomalies", text, draw, caption, 460, 120 + ROW * len(shown))
