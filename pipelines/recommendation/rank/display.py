"""How a ranker shows itself on pages."""

from typing import Any

import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.recommendation.rank import plots as drawn
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tables.columns import values_in
from horngate.pipelines.tasks.bases import PageDisplay
from horngate.pipelines.tasks.parts import Titles

SHOWN = 8  # cells of a row


class RankDisplay(PageDisplay):
    """Shows how scores part clicks from the rest, and the first cells of rows."""

    titles = Titles(mistakes="Farthest off", mistakes_said="rows with the highest losses")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.task.evaluator.outcome(answers))

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        found, reader = [], self.task.reader
        for data in inputs_of(rows):
            cells = reader.whole_cells(data)
            values = {
                column["name"]: " + ".join(values_in(cells.get(column["name"]))) for column in reader.columns[:SHOWN]
            }
            found.append(Shown(text=", ".join(f"{name} {value or '–'}"[:40] for name, value in values.items())))
        return found

    def model_card(self) -> dict[str, str]:
        encoder = self.fitted.decisions
        if encoder.clicks:
            said = (
                f"The probability of {encoder.names[1]}, for rows shown as those of the training were. Who was shown "
            )
            said += "what was somebody's choice; scores of what was never shown to such users are a guess."
        else:
            said = (
                f"The rating to expect, {encoder.low:g} to {encoder.high:g}. People rate what they chose; the rating "
            )
            said += "that they would give to what they left out is likely to be lower."
        return {"Answers": said} | super().model_card()
