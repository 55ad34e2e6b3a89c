"""What tasks show whose answers are ranked lists."""

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import ranking
from horngate.pipelines.metrics.ranking import DEPTH, Ranking
from horngate.pipelines.report.drawing import ACCENT, LINE, MUTED
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import PageDisplay
from horngate.pipelines.tasks.parts import Titles


class RankingDisplay(PageDisplay):
    """Shows metrics against the cut, how often items are shown, and who was missed."""

    titles = Titles(mistakes="Missed most", mistakes_said="users of whom most was held out and nothing found")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = self.task.evaluator.outcome(answers)
        return [_by_cut(found), _shown(found)]


def _by_cut(found: Ranking) -> Plot:
    cuts = np.arange(1, DEPTH + 1)
    curves = {name: [getattr(ranking, name)(cut)(found).mean() for cut in cuts] for name in ("ndcg", "recall")}
    usual = None if found.popular is None else [ranking.ndcg(cut)(found.popular).mean() for cut in cuts]

    def draw(axes) -> None:
        axes.plot(cuts, curves["ndcg"], color=ACCENT, label="ndcg")
        axes.plot(cuts, curves["recall"], color=ACCENT, linestyle="--", label="recall")
        if usual is not None:
            axes.plot(cuts, usual, color=MUTED, label="ndcg of popularity")
        axes.set(xlabel="items shown", ylabel="mean over users", xlim=(1, DEPTH), ylim=(0, None))
        axes.legend(frameon=False)

    at_ten = " and ".join(f"{curve[9]:.3f}" for curve in curves.values())
    text = f"NDCG and recall against the number of items shown; at ten they are {at_ten}."
    return Plot("ranking-by-cut", "Scores by length of the list", text, draw)


def _shown(found: Ranking) -> Plot:
    items = found.items[:, :10]
    times = np.sort(np.bincount(items[items >= 0], minlength=len(found.bits))[np.isfinite(found.bits)])[::-1]
    share = np.cumsum(times) / max(times.sum(), 1)
    half = int(np.searchsorted(share, 0.5)) + 1

    def draw(axes) -> None:
        axes.plot(np.linspace(0, 1, len(share)), share, color=ACCENT)
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=0.8)
        axes.set(xlabel="share of the items, most shown first", ylabel="share of the places in lists of ten")

    text = f"{half} of {len(times)} items fill half of all places in lists of ten."
    return Plot("ranking-shown", "Which items are shown", text, draw, text)
