"""How pairs are shown, and how an embedder is handed over."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.nlp.similar.pairs import one_or_two
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.reader import READING
from horngate.pipelines.report.drawing import ACCENT, bare
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay
from horngate.pipelines.tasks.parts import Titles

MOST_POINTS = 2000  # drawn; of more pairs an even draw


class PairDisplay(PageDisplay):
    """Shows pairs of texts."""

    titles = Titles(
        mistakes="Most surprising pairs",
        mistakes_said="pairs whose similarity is farthest from what it should be",
    )

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = report.details.get("tokens")
        return plots(self.task.evaluator.outcome(answers)) + ([token_lengths(found)] if found else [])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return both texts."""
        pairs = [one_or_two(data, self.card.encoding) for data in inputs_of(rows)]
        return [Shown(text=" | ".join(part for part in pair if part)) for pair in pairs]

    def model_card(self) -> dict[str, str]:
        said = (
            "An embedding of length 1 for each text. The cosine of two (the sum of their products) says how alike they "
        )
        said += "are, in the sense of the pairs that were learnt from; it is no probability, and only its order is measured."
        return {"Answers": said} | super().model_card()


class EmbedderExporter(ModelExporter):
    """Hands an embedder over: it takes token ids, and the tokenizer's file lies beside it."""

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.fitted.lookup.vocabulary - 1), "outputs": (-1, 1)}

    def reading(self) -> str:
        return READING


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
