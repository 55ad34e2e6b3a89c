"""What the task of series says of its answers: measures in time, events found and missed, strips of signal and score."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.series import plots as drawn
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.trailing import Window, seconds_of
from horngate.pipelines.metrics import series as measured
from horngate.pipelines.metrics.series import Outcome, units_of
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.judged import TOP

WATCHED = 40  # columns whose drift is looked at
LISTED = 200  # events in a report


class Timed:
    """A part of the pipeline of series; it stands before `Detector` among the bases of the whole."""

    mistakes_title = "Top stretches"
    mistakes_said = "the strangest row of each stretch, strangest first"

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        """Return the values of the row; wide series have too many columns to look at one by one."""
        names = self.schema["columns"]
        if len(names) > WATCHED:
            return {}
        return {name: float(value) for name, value in zip(names, tensor[-1], strict=True)}

    def label_names(self, target: str | None) -> None:
        """Return None: events come and go, and their share in a stretch of time says nothing of drift."""
        return None

    def timeline(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of each row's series, and its time in seconds."""
        times = [seconds_of(cell, self.card.time_unit) for cell in rows["time"].to_pylist()]
        return numbered(rows["group"].to_pylist()), np.array(times, np.float64)

    def outcome(self, answers: pa.Table) -> Outcome:
        plain = super().outcome(answers)
        series, seconds = self.timeline(answers)
        return Outcome(plain.scores, plain.targets, plain.chosen, series, seconds, *units_of(series))

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Outcome:
        """Return the outcome of a rival: score, number of the series, seconds and alarm of each row, float64 `[n, 4]`."""
        score, series, seconds, chosen = outputs.T
        series = series.astype(np.int64)
        return Outcome(score, self.alarms.encode(targets), chosen > 0, series, seconds, *units_of(series))

    def guess(self, outcome: Outcome) -> Outcome:
        """Say the same in a random order."""
        return measured.by_chance(outcome)

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return measured.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found = super().details(answers, outcome) | {"buffer_rows": measured.BUFFER}
        if np.isnan(outcome.targets).all():
            return found
        times = [answers["time"].to_pylist()[row] for row in outcome.order]
        names = [answers["group"].to_pylist()[row] for row in outcome.order]
        seen = outcome.events
        said = [{"series": names[a], "begin": times[a], "end": times[b]} for a, b in seen.events]
        said = [
            event | {"found": bool(hit), "delay_seconds": float(delay)}
            for event, hit, delay in zip(said, seen.found, seen.delays, strict=True)
        ]
        counts = {
            "found": int(seen.found.sum()),
            "missed": int((~seen.found).sum()),
            "false_alarms": int(seen.false.sum()),
        }
        return found | {"events": said[:LISTED], "event_counts": counts | {"alarms": len(seen.alarms)}}

    def _top(self, answers: pa.Table) -> list[dict[str, Any]]:
        """Return the strangest rows, none within a window of a stranger one."""
        series, scores = numbered(answers["group"].to_pylist()), answers["score"].to_numpy()
        left, best = np.ones(len(scores), bool), []
        for row in np.argsort(-scores, kind="stable"):
            if left[row]:
                best.append(int(row))
                near = slice(max(row - self.card.window, 0), row + self.card.window + 1)
                left[near] &= series[near] != series[row]
            if len(best) == TOP:
                break
        return super()._top(answers.take(pa.array(best)))

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        labels = drawn.Labels(self.schema["columns"], self.alarms.threshold)
        return [*drawn.plots(answers, self.outcome(answers), labels), *super().plots(answers, report)]

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the values of the columns that made the score, the strongest first."""
        found = []
        for data, answer in zip(inputs_of(rows), answers, strict=True):
            window = Window.of(data)
            values = dict(zip(window.names, window.values[-1].tolist(), strict=True))
            parts = [f"{reason['column']} {values[reason['column']]:.6g}" for reason in answer["reasons"]]
            found.append(Shown(text=", ".join(parts)))
        return found

    def model_card(self) -> dict[str, str]:
        said = (
            f"A score for every time step, from the step and the {self.card.window - 1} rows before it; nothing after it is "
            "looked at. 1 is the usual error, 2 twice as much. The first rows of a series have fewer rows before them and "
            "are judged by those alone; a forecast of the very first is the training mean. Neighbouring scores are alike, "
            "so the p-value of a step is right on average, but not independent of the next one's."
        )
        return super().model_card() | {"Answers": said}


def numbered(groups: list[str | None]) -> np.ndarray:
    """Return int64 numbers of series, in the order in which they appear."""
    places: dict[str | None, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in groups], np.int64)
