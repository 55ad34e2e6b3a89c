"""What segmenting tasks draw: how cases score, class by class."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.segmentation import Cases, dice
from horngate.pipelines.report.drawing import ACCENT, INK, MUTED, SECOND, bare
from horngate.pipelines.report.plot import Plot

MOST_CLASSES = 20
MOST_DOTS = 400  # of a class
EMPTY = "A class that is neither in the truth nor in the answer of a case is left out there."


def plots(cases: Cases, names: tuple[str, ...]) -> list[Plot]:
    """Return the plots of cases: Dice as boxes for each class, and true against answered sizes."""
    values = dice(cases)
    known = [number for number in range(1, len(names)) if not np.isnan(values[:, number]).all()][:MOST_CLASSES]
    return [_boxes(values, known, names), _sizes(cases, known, names)] if known else []


def table_of(by_class: list[dict[str, Any]], unit: str, tolerance: float) -> dict[str, Any]:
    """Return the table of the classes as the page takes it, from what `per_class` says."""
    names = ("cases", "missed", "made_up", "dice", "iou", "hd95", "surface_dice", "volume_error")
    return {
        "title": "Classes, case by case",
        "said": f"Means over the cases in which a class is counted. {EMPTY} Missed: cases that have the class and no answer "
        f"of it. Surface Dice: share of both borders within {tolerance:g} {unit} of each other.",
        "columns": [
            "class",
            "cases",
            "missed",
            "made up",
            "dice",
            "IoU",
            f"HD95, {unit}",
            "surface Dice",
            "volume error",
        ],
        "rows": [[row["label"], *(row[name] for name in names)] for row in by_class],
    }


def _boxes(values: np.ndarray, known: list[int], names: tuple[str, ...]) -> Plot:
    columns = [values[~np.isnan(values[:, number]), number] for number in known]
    medians = ", ".join(f"{names[number]} {np.median(own):.3f}" for number, own in zip(known, columns, strict=True))

    def draw(axes) -> None:
        line = {"color": MUTED}
        axes.boxplot(
            columns,
            widths=0.5,
            showfliers=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops={"color": SECOND, "linewidth": 2},
        )
        draw_from = np.random.default_rng(0)
        for place, own in enumerate(columns, 1):
            some = own if len(own) <= MOST_DOTS else draw_from.choice(own, MOST_DOTS, replace=False)
            axes.plot(
                place + draw_from.uniform(-0.18, 0.18, len(some)), some, ".", color=ACCENT, alpha=0.6, markersize=5
            )
        axes.set(ylim=(-0.02, 1.02), ylabel="Dice of a case")
        turn = {"rotation": 90} if max(len(names[number]) for number in known) > 8 and len(known) > 4 else {}
        axes.set_xticks(range(1, len(known) + 1), [names[number] for number in known], color=INK, **turn)
        bare(axes, "y")

    width = int(np.clip(120 + 70 * len(known), 260, 720))
    caption = "One dot per case; box: quartiles, line: median."
    return Plot(
        "dice-by-class",
        "Dice by class",
        f"Box plot of each case's Dice. Medians: {medians}.",
        draw,
        caption,
        width,
        320,
    )


def _sizes(cases: Cases, known: list[int], names: tuple[str, ...]) -> Plot:
    truth, said = cases.truth[:, known].sum(1), cases.said[:, known].sum(1)
    off = float(np.median(np.abs(said - truth)))

    def draw(axes) -> None:
        most = max(float(truth.max()), float(said.max()), 1.0) * 1.03
        axes.plot([0, most], [0, most], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        some = np.linspace(0, len(truth) - 1, min(len(truth), 4 * MOST_DOTS)).astype(int)
        axes.plot(truth[some], said[some], ".", color=ACCENT, alpha=0.6, markersize=6)
        axes.set(xlim=(0, most), ylim=(0, most), xlabel="pixels in the truth", ylabel="pixels in the answer")
        bare(axes, "both")

    text = f"Answered against true size of each case; half of the cases are off by less than {off:,.0f} pixels."
    return Plot(
        "sizes", "Size of each case", text, draw, "All classes but the background; dashed: as large as it is.", 340, 320
    )
