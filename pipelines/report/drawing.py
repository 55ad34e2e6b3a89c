"""Figures as inline SVG that follow the page's colours, light or dark, and its font. matplotlib is imported only here."""

import re
from io import StringIO
from typing import Any
from warnings import catch_warnings, simplefilter

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from horngate.pipelines.report.plot import Plot

# Colours to draw with. They never reach the screen: the SVG gets the page's own in their place.
INK, MUTED, LINE, ACCENT, SECOND, THIRD, PAPER, ON_ACCENT = (f"#0102{place:02x}" for place in range(1, 9))
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


def drawn(plot: Plot) -> dict[str, Any]:
    """Return a plot for the macro `figures`: name, title, caption, width, and the `svg`, the same for the same plot."""
    from matplotlib import cycler

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


def bare(axes: Any, grid: str) -> None:
    """Keep only the grid lines of one direction, and no frame."""
    axes.grid(False)
    axes.grid(True, axis=grid)
    axes.spines[:].set_visible(False)


def square(axes: Any, x: str, y: str) -> None:
    """Make axes of two shares: 0 to 1 both ways, of equal length."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks, xlabel=x, ylabel=y, aspect="equal")
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_yticklabels([f"{tick:g}" for tick in ticks])


def cells(axes: Any, shares: Any, names: list[str], written: Any = None) -> None:
    """Draw a square table of shares 0…1 as cells, stronger for more; `written` are whole numbers to write into them.

    The cells of one strength are one path, so that a hundred classes stay small.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    least = 0.25 if written is None else 0.05  # a cell that holds anything can be seen
    levels = (shares * 20 + 0.999).astype(int)  # 0 only for nothing at all
    for level in sorted({*levels.flat} - {0}):
        corners = [
            [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for y, x in zip(*(levels == level).nonzero(), strict=True)
        ]
        path = Path.make_compound_path(*(Path([*four, four[0]], closed=True) for four in corners))
        axes.add_patch(
            PathPatch(path, facecolor=ACCENT, alpha=least + (1 - least) * min(level / 20, 1.0), edgecolor="none")
        )
    if written is not None:
        for y, x in zip(*written.nonzero(), strict=True):
            colour = ON_ACCENT if shares[y, x] > 0.5 else INK
            axes.text(x + 0.5, y + 0.5, f"{written[y, x]:,.0f}", ha="center", va="center", color=colour, fontsize=10)
    places = [place + 0.5 for place in range(len(names))]
    small = 8 if len(names) > 40 else 10
    axes.set(xlim=(0, len(names)), ylim=(len(names), 0), aspect="equal")
    turn = {"rotation": 90} if max(map(len, names)) > 5 or len(names) > 12 else {}
    axes.set_xticks(places, names, fontsize=small, **turn)
    axes.set_yticks(places, names, fontsize=small)
    axes.grid(False)
    axes.spines[:].set_visible(True)


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
