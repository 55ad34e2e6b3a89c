"""How long texts are in tokens: counted while they are read, and drawn."""

from collections import Counter
from threading import Lock
from typing import Any

import numpy as np

from horngate.pipelines.report.drawing import ACCENT, SECOND, bare
from horngate.pipelines.report.plot import Plot


class Lengths:
    """How many tokens the texts have that were read, for a report."""

    def __init__(self):
        self.counts: Counter = Counter()  # tokens -> texts
        self.longer = [0, 0]  # texts that are longer than the model takes, and their tokens beyond
        self.lock = Lock()

    def saw(self, count: int, beyond: int) -> None:
        """Count a text of so many tokens, of which some are more than the model takes at once."""
        with self.lock:
            self.counts[count] += 1
            self.longer[0] += beyond > 0
            self.longer[1] += beyond

    def told(self, most: int, cut: bool) -> dict[str, Any]:
        """Return what a report says, as `tokens`; nothing where no text was read.

        Args:
            most: tokens that the model takes at once.
            cut: whether longer texts are cut there; else they get further windows.
        """
        if not self.counts:
            return {}
        sizes = np.array(sorted(self.counts.elements()))
        found = {"most": most, "median": float(np.median(sizes)), "longest": int(sizes[-1])}
        if cut:
            found |= {"cut_rows": self.longer[0] / len(sizes), "cut_tokens": self.longer[1] / int(sizes.sum())}
        else:
            found |= {"windowed_rows": self.longer[0] / len(sizes)}
        return {"tokens": found | {"counts": {str(size): count for size, count in sorted(self.counts.items())}}}


BARS = 40


def token_lengths(found: dict[str, Any]) -> Plot:
    """Return the histogram of how many tokens texts have, with the length that the model takes at once."""
    counts = {int(size): count for size, count in found["counts"].items()}
    most, cut = found["most"], "cut_rows" in found
    width = max(1, -(-max(*counts, most) // BARS))

    def draw(axes) -> None:
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
