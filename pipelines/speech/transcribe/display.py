"""How transcripts are shown."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics.transcripts import alignment
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.speech.audio.facts import shown
from horngate.pipelines.speech.ctc.vocabulary import SAID, all_normalised
from horngate.pipelines.speech.transcribe.plots import marks, plots
from horngate.pipelines.speech.transcribe.recordings import heard_at
from horngate.pipelines.tasks.bases import PageDisplay
from horngate.pipelines.tasks.parts import Titles


class TranscriptDisplay(PageDisplay):
    """Shows transcripts beside the truth, and plays their recordings."""

    titles = Titles(
        mistakes="Worst transcripts",
        mistakes_said="transcripts with the highest word error rates; marked: [truth → answer], a dot for nothing",
    )

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        outcome = self.task.evaluator.outcome(answers)
        return plots(outcome, answers["confidence"].to_numpy(), report.details["errors"])

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the alignment of each answer with its target, and the beginning of each recording to be played."""
        rate = self.fitted.schema["rate"]
        heard = [shown(heard_at(data, rate), rate) for data in inputs_of(rows)]
        both = [all_normalised([row[name] for row in answers], self.card.normaliser) for name in ("target", "said")]
        parts = [alignment(*pair) for pair in zip(*both, strict=True)]
        return [replace(one, marks=marks(own)) for one, own in zip(heard, parts, strict=True)]

    def model_card(self) -> dict[str, str]:
        said = f" Texts are compared after normalisation ({self.card.normaliser}: {SAID[self.card.normaliser]})."
        card = super().model_card()
        return card | {"Limits": card["Limits"] + said}
