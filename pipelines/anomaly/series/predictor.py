"""What detectors say of time steps: alarms by scores or by how many a day, and the columns that made the score."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.series.reader import timeline
from horngate.pipelines.metrics.anomaly.events import Timeline, threshold_for_alarms
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.anomaly_detection.predictor import REASON, AnomalyPredictor, reasons
from horngate.pipelines.tasks.parts import AnswerColumn


class StepPredictor(AnomalyPredictor):
    """Answers windows, with reasons; the core's outputs are the score, what each column adds, and the row's values."""

    batch_size = 64
    choosing = (*AnomalyPredictor.choosing, "alarms_per_day")

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("time", pa.string(), "carried"),
            *super().columns(),
            AnswerColumn("reasons", REASON),
            AnswerColumn("values", pa.list_(pa.float32()), "measured"),
        )

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        names = self.fitted.schema["columns"]
        own = {"reasons": reasons(outputs[:, 1 : 1 + len(names)], names), "values": list(outputs[:, 1 + len(names) :])}
        return super().answers(listed, outputs, labelled) | own

    def outputs(self, table: pa.Table, label: str) -> np.ndarray:
        reader, parts = self.task.reader, []
        for at in range(0, table.num_rows, 16 * self.batch_size):
            windows = reader.windows(table.slice(at, 16 * self.batch_size), label)
            for start in range(0, len(windows), self.batch_size):
                own = list(windows[start : start + self.batch_size])
                parts.append(np.asarray(self.core.predict_on_batch(reader.collate(own, self.batch_size)))[: len(own)])
        return np.concatenate(parts)

    def decided(self, scores: np.ndarray, truth: np.ndarray, rows: pa.Table, card: Any, unseen: bool) -> Alarms:
        if card.alarms_per_day is not None and (card.contamination, card.false_alarm_rate) != (None, None):
            raise UserError("give --alarms-per-day, --contamination or --false-alarm-rate, only one of them")
        alarms = super().decided(scores, truth, rows, card, unseen)
        if card.alarms_per_day is not None:
            series, seconds = timeline(rows, self.card.time_unit)
            order = np.argsort(series, kind="stable")
            quiet = order[~(truth[order] == 1)]
            among = Timeline.of(series[quiet], seconds[quiet])
            threshold = threshold_for_alarms(among, scores[quiet].astype(np.float64), card.alarms_per_day)
            alarms = replace(alarms, threshold=threshold, chosen_by=f"{card.alarms_per_day:g} alarms a day")
        if card.margin != 1.0 and not alarms.chosen_by.startswith("F1"):
            said = f"{alarms.chosen_by}, times {card.margin:g}"
            alarms = replace(alarms, threshold=alarms.threshold * card.margin, chosen_by=said)
        return alarms
