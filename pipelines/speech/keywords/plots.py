"""What tasks draw that detect classes by their scores, and how well they do it in noise."""

from typing import Any

import numpy as np
from scipy.stats import norm

from horngate.pipelines.report.classification_curves import thinned
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, THIRD, bare
from horngate.pipelines.report.plot import Plot

LEAST = 0.0005  # rates are drawn from this share on
TICKS = (0.001, 0.005, 0.02, 0.1, 0.3, 0.5)


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
