"""Figures as inline SVG that follow the page's colours, light or dark, and its font; learning curves among them."""

import csv
import re
from io import StringIO
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from markupsafe import Markup, escape
from matplotlib import cycler, rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from horngate.pipelines.report.drawing import ACCENT, INK, LINE, MUTED, ON_ACCENT, PAPER, SECOND, THIRD
from horngate.pipelines.report.plot import Plot

PAGE = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    PAPER: "var(--paper)",
    ON_ACCENT: "var(--on-accent)",
}
WIDE = 720  # pixels: wider figures scroll inside their box, at their own size
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.edgecolor": LINE,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.major.pad": 5.0,
    "ytick.major.pad": 5.0,
    "lines.linewidth": 1.8,
    "path.simplify": True,
}
MOST = 400  # points of a curve


def drawn(plot: Plot) -> dict[str, Any]:
    """Return a plot for the macro `figures`: name, title, caption, width, and the `svg`, the same for the same plot."""
    style = STYLE | {"svg.hashsalt": plot.name, "axes.prop_cycle": cycler(color=[ACCENT, SECOND, THIRD, MUTED, INK])}
    out = StringIO()
    with rc_context(style), catch_warnings():
        simplefilter("ignore")  # signs that matplotlib's font lacks: the browser has them
        # 72 dots an inch make a point a pixel, so that sizes above are those on the screen.
        figure = Figure(figsize=(plot.width / 72, plot.height / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        plot.draw(axes)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Type": None})
    svg = Markup(_inline(out.getvalue(), plot))
    return {"name": plot.name, "title": plot.title, "caption": plot.caption, "width": plot.width, "svg": svg}


def _inline(text: str, plot: Plot) -> str:
    """Return the `<svg>` element alone, with names of its own, the page's colours, and its text as a label."""
    text = text[text.index("<svg") :]
    for rubbish in (r"<metadata>.*?</metadata>", r"<defs>\s*<style.*?</defs>", r"<!--.*?-->"):
        text = re.sub(rubbish, "", text, count=0 if "!" in rubbish else 1, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], plot.name), text)
    large = ' class="large"' if plot.width > WIDE else ""
    head = f'<svg{large} role="img" aria-label="{escape(plot.text)}" width="{plot.width}" height="{plot.height}"'
    head += f' viewBox="0 0 {plot.width} {plot.height}">'
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"^<svg[^>]*>", lambda found: head, text, count=1))


def _tag(tag: str, name: str) -> str:
    """Return a tag with its own names and the page's colours; what stands between tags is the user's and stays."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    return re.sub(r"#0102[0-9a-f]{2}", lambda colour: PAGE[colour[0]], tag)


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
