"""Plots for reports on texts."""

from typing import Any

from horngate.pipelines.report.plot import Plot

BARS = 40


def token_lengths(found: dict[str, Any]) -> Plot:
    """Return the histogram of how many tokens texts have, with the length that the model takes at once."""
    counts = {int(size): count for size, count in found["counts"].items()}
    most, cut = found["most"], "cut_rows" in found
    width = max(1, -(-max(*counts, most) // BARS))

    def draw(axes) -> None:
        from horngate.pipelines.report.drawing import ACCENT, SECOND, bare

        bars: dict[int, int] = {}
        for size, count in counts.items():
            bars[size // width * width] = bars.get(size // width * width, 0) + count
        axes.bar(list(bars), list(bars.values()), 0.9 * width, align="edge", color=ACCENT)
        axes.axvline(most, color=SECOND, linestyle="--", label=f"{'cut' if cut else 'windows'} beyond {most}")
        axes.set_xlabel("tokens of a text")
        axes.set_ylabel("texts")
        axes.legend(loc="best")
        bare(axes, "y")

    if cut:
        share = f"{found['cut_rows']:.1%} of the texts are cut, {found['cut_tokens']:.1%} of their tokens are lost"
    else:
        share = f"{found['windowed_rows']:.1%} of the texts get several windows, which are merged"
    text = f"Histogram of tokens per text: median {found['median']:.0f}, longest {found['longest']}; {share}."
    return Plot("token-lengths", "Tokens per text", text, draw, f"{share}.")
