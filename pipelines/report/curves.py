"""Learning curves from `history.csv`, whatever its columns are: what is told of validation, beside its twin of training."""

import csv
import re
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from horngate.pipelines.report.drawing import ACCENT, MUTED
from horngate.pipelines.report.plot import Plot

MOST = 400  # points of a curve


def learning_curves(history: Path) -> list[Plot]:
    """Return one plot per phase and measure; none where there is no history."""
    try:
        with history.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return []
    found = []
    for phase in dict.fromkeys(row["phase"] for row in rows):
        own = [row for row in rows if row["phase"] == phase]
        judged = (name.removeprefix("val_") for name in own[0] if name == "loss" or name.startswith("val_"))
        for name in dict.fromkeys(judged):
            parts = {"training": _points(own, name), "validation": _points(own, f"val_{name}")}
            parts = {label: points for label, points in parts.items() if points}
            if any(len(points) > 1 for points in parts.values()):
                found.append(_curve(phase, name, parts))
    return found


def _points(rows: list[dict[str, str]], name: str) -> list[tuple[float, float]]:
    points = []
    for place, row in enumerate(rows, 1):
        try:
            points.append((float(row.get("epoch") or place), float(row[name])))
        except (KeyError, TypeError, ValueError):
            continue
    step = max(len(points) // MOST, 1)
    return points[::step]


def _curve(phase: str, name: str, parts: dict[str, list[tuple[float, float]]]) -> Plot:
    words = name.replace("_", " ")

    def draw(axes) -> None:
        for (label, points), style in zip(parts.items(), ((MUTED, "--"), (ACCENT, "-"))[-len(parts) :], strict=True):
            marker = "o" if len(points) < 3 else ""
            axes.plot(*zip(*points, strict=True), color=style[0], linestyle=style[1], marker=marker, label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.legend(loc="best")

    ends = ", ".join(f"{label} from {points[0][1]:.3f} to {points[-1][1]:.3f}" for label, points in parts.items())
    slug = re.sub(r"[^a-z0-9]+", "-", f"curve-{phase}-{name}".lower())
    return Plot(slug, f"{phase}: {words}", f"{words} by epoch: {ends}.", draw, "", 320, 240)
