"""What plots draw with: the page's colours, and axes in its style. Light: matplotlib is met only while a page is made."""

from typing import Any

# They never reach the screen: the SVG gets the page's own colours in their place.
INK, MUTED, LINE, ACCENT, SECOND, THIRD, PAPER, ON_ACCENT = (f"#0102{place:02x}" for place in range(1, 9))


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
    from matplotlib import patches, path

    least = 0.25 if written is None else 0.05  # a cell that holds anything can be seen
    levels = (shares * 20 + 0.999).astype(int)  # 0 only for nothing at all
    for level in sorted({*levels.flat} - {0}):
        corners = [
            [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for y, x in zip(*(levels == level).nonzero(), strict=True)
        ]
        outline = path.Path.make_compound_path(*(path.Path([*four, four[0]], closed=True) for four in corners))
        axes.add_patch(
            patches.PathPatch(
                outline, facecolor=ACCENT, alpha=least + (1 - least) * min(level / 20, 1.0), edgecolor="none"
            )
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
