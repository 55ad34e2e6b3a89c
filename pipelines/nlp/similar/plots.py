"""What tasks draw whose answers are similarities of pairs."""

import numpy as np

from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.report.drawing import ACCENT, bare
from horngate.pipelines.report.plot import Plot

MOST_POINTS = 2000  # drawn; of more pairs an even draw


def plots(outcome: Outcome) -> list[Plot]:
    """Return the plots of an outcome: similarities against scores where there are any, and their histogram."""
    return [_histogram(outcome)] if outcome.targets is None else [_against(outcome), _histogram(outcome)]


def _against(outcome: Outcome) -> Plot:
    count = len(outcome.scores)
    rows = np.random.default_rng(0).permutation(count)[:MOST_POINTS]

    def draw(axes) -> None:
        axes.plot(outcome.targets[rows], outcome.scores[rows], "o", color=ACCENT, markersize=3, alpha=0.35, mew=0)
        axes.set(xlabel="score", ylabel="similarity")

    caption = (
        f"{MOST_POINTS:,} of {count:,} pairs, drawn at random." if count > MOST_POINTS else "Each point is a pair."
    )
    text = f"Similarity of {len(rows)} pairs against their scores, as points."
    return Plot("similarity-score", "Similarity against score", text, draw, caption)


def _histogram(outcome: Outcome) -> Plot:
    counts, edges = np.histogram(outcome.scores, np.linspace(min(0.0, float(outcome.scores.min())), 1, 31))

    def draw(axes) -> None:
        axes.bar(edges[:-1], counts, (edges[1] - edges[0]) * 0.9, align="edge", color=ACCENT)
        axes.set(xlabel="similarity of a pair", ylabel="pairs")
        bare(axes, "y")

    low, middle, high = np.quantile(outcome.scores, [0.1, 0.5, 0.9])
    text = (
        f"Histogram of similarities: a tenth lies below {low:.2f}, half below {middle:.2f}, a tenth above {high:.2f}."
    )
    return Plot("similarities", "Similarities of pairs", text, draw)
