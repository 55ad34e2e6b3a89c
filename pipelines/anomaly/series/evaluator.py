"""How good alarms are in time: events found and missed, and the strangest stretches."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.series.reader import numbered, timeline
from horngate.pipelines.metrics.anomaly import detection
from horngate.pipelines.metrics.anomaly import series as measured
from horngate.pipelines.metrics.anomaly.series import Outcome, units_of
from horngate.pipelines.tasks.anomaly_detection.evaluator import TOP, AnomalyEvaluator

LISTED = 200  # events in a report


class StepEvaluator(AnomalyEvaluator):
    """Measures scores and alarms of time steps, and of the events that they make."""

    def outcome(self, answers: pa.Table) -> Outcome:
        return self.in_time(self.plain(answers), answers)

    def in_time(self, plain: detection.Outcome, rows: pa.Table) -> Outcome:
        """Return the outcome of rows, listed or answered ones, with their places in time."""
        series, seconds = timeline(rows, self.card.time_unit)
        return Outcome(plain.scores, plain.targets, plain.chosen, series, seconds, *units_of(series))

    def trivial(self, outcome: Outcome) -> Outcome:
        return measured.by_chance(outcome)

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
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

    def cases(self, answers: pa.Table) -> list[dict[str, Any]]:
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
        return super().cases(answers.take(pa.array(best)))

    def labels_in(self, target: str | None) -> None:
        """Return None: events come and go, and their share in a stretch of time says nothing of drift."""
        return None
