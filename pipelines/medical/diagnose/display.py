"""How findings are shown: no picture that may say whose it is, and on every page what this isn't."""

from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from horngate.pipelines.images.display import ShownPictures
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, bare
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.classification.display import LabelDisplay
from horngate.pipelines.tasks.parts import Titles

LEAST = 1e-3  # net benefit that is worth a word


class ScreeningDisplay(LabelDisplay):
    """Shows findings, their decision curve, and the positives near the threshold."""

    titles = Titles(caution=NO_DEVICE)

    @cached_property
    def pictures(self) -> ShownPictures:
        """The scans, but for those with text in their pixels, which may say whose they are."""
        inspect = self.task.reader.inspect
        return ShownPictures(self.task, ("mistakes", "borderline"), lambda data: not inspect(data, "").burned_in)

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        return self.pictures.rows(rows, answers)

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        self.pictures.files(report, table, folder, options)

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        curve = report.details.get("decision_curve")
        return super().plots(answers, report) + (
            [] if curve is None else [_decision(curve, self.fitted.decisions.positive)]
        )

    def model_card(self) -> dict[str, str]:
        schema = self.fitted.schema
        shape = f"{schema['size']} × {schema['size']} pixels, {'RGB' if schema['channels'] == 3 else 'grey'}"
        window = {"file": "each file's own window where it has one", "none": "no window"}
        said = window.get(schema["window"], f"the window {schema['window']}")
        return {
            "Not a medical device": NO_DEVICE,
            "Images": f"The network sees {shape}, by {said}. An image of something else gets an answer too.",
        } | super().model_card()


def _decision(curve: list[dict[str, Any]], positive: str) -> Plot:
    """Return the net benefit of acting by the scores, on all and on none, by threshold (Vickers & Elkin 2006)."""
    places = [part["threshold"] for part in curve]
    gains, of_all = ([part[name] for part in curve] for name in ("net_benefit", "act_on_all"))
    top = max(*gains, 0.01)

    def draw(axes) -> None:
        axes.plot(places, of_all, color=SECOND, linewidth=1, label="all")
        axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="none")
        axes.plot(places, gains, color=ACCENT, label="by the scores")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.15 * top, 1.1 * top)
        axes.set_xlabel("threshold")
        axes.set_ylabel("net benefit")
        axes.legend(loc="best")
        bare(axes, "y")

    useful = [place for place, gain, every in zip(places, gains, of_all, strict=True) if gain > max(every, 0) + LEAST]
    said = f"somewhere from {min(useful):.2f} to {max(useful):.2f}" if useful else "nowhere"
    text = f"Decision curve of {positive}: acting by the scores gains more than acting on all or on none {said}."
    caption = (
        "At a threshold of 0.1 a missed case weighs as much as nine needless actions. "
        f"Here the scores are worth more than acting on all or none {said}."
    )
    return Plot("decision-curve", "Decision curve", text, draw, caption, section="calibration")
