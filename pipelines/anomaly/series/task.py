"""Strange stretches of series."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.series.baselines import rivals
from horngate.pipelines.anomaly.series.checks import step_findings
from horngate.pipelines.anomaly.series.reader import Facts, facts_of, settled, tensor_of
from horngate.pipelines.anomaly.series.timed import Timed, numbered
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.metrics.events import Timeline, threshold_for_alarms
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.alarms import Alarms
from horngate.pipelines.tasks.detector import HISTORY, Detector

MEMBERS = ("linear", "nearest", "pca")  # of `auto`; chosen by benchmarks/anomaly_choices.py
REASONS = 5  # columns
LEAST = 20  # training rows
OFTEN = 16  # training windows that begin within the length of one
MOST_WINDOWS = 20_000  # that are learnt from; of more, evenly spaced ones


class Pipeline(Timed, Detector):
    """`horngate anomaly series`."""

    batch_size = 64
    carried = ("time",)
    choosing = (*Detector.choosing, "alarms_per_day")

    def __init__(self, card: Any):
        super().__init__(card)
        self.history: list[dict[str, Any]] = []  # of the phases that ended
        self.columns = HISTORY

    @property
    def smooth(self) -> int:
        """Rows whose errors a score averages."""
        return min(self.card.smooth or max(1, self.card.window // 4), self.card.window)

    # What is a row?

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return facts_of(data)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        return super().findings(table, splits) + (step_findings(table, self.card.gap) if splits is None else [])

    def settle(self, facts: list[Facts]) -> None:
        if self.card.smooth is not None and self.card.smooth > self.card.window:
            raise UserError(f"--smooth {self.card.smooth} should be at most --window {self.card.window}")
        if len(facts) < LEAST:
            raise UserError(f"{len(facts)} training rows are too few; at least {LEAST} are needed")
        self.schema = settled(facts, self.card.window, self.smooth, self.card.gap)

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return tensor_of(data, self.schema)

    def windows(self, table: pa.Table, label: str) -> np.ndarray:
        """Return the windows of all rows, float32 `[n, w, d]`.

        Raises:
            UserError: a row that can't be read.
        """
        rows = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
        found = np.empty((table.num_rows, self.schema["window"], len(self.schema["columns"])), np.float32)
        stream = in_order(lambda row: self.read(content(*row)), rows, ahead=1024)
        for place, row in enumerate(progress.tracked(stream, label, table.num_rows)):
            if isinstance(row, Unreadable):
                raise UserError(f"{table['id'][place].as_py()}: {row}")
            found[place] = row
        return found

    # How does it learn?

    def learn(self, table: pa.Table, places: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
        from horngate.models.anomaly.series_detectors import joined
        from horngate.models.anomaly.window_learning import Wishes, learnt, moments
        from horngate.pipelines.training.transfer import told

        card, kinds = self.card, MEMBERS if self.card.detector == "auto" else (self.card.detector,)
        clean = self._clean(table, places["train"])
        train = self.windows(table.take(pa.array(self._spaced(clean))), "reading the training rows")
        validation = self._spaced(self._clean(table, places["validation"]))
        held = self.windows(table.take(pa.array(validation)), "reading the validation rows")
        scale = moments(self._last_rows(table.take(pa.array(clean))))
        wishes = Wishes(self.smooth, card.seed, card.epochs, card.batch_size, card.learning_rate)
        self.run, members, costs = run, [], {}
        for kind in kinds:
            started = time.monotonic()
            with told(self, at_least=0.0) as keeper:
                member, history = learnt(kind, train, held, scale, wishes, keeper)
            members.append(member)
            self.history += history
            costs[kind] = round(time.monotonic() - started, 1)
        self.answers = joined(members)
        self._fitted_on, self._scale = train, scale
        why = "asked for" if card.detector != "auto" else f"together: {', '.join(MEMBERS)}"
        said = {"window": card.window, "smooth": self.smooth, "columns": len(self.schema["columns"])}
        return {"method": card.detector, "why": why, "costs": costs, "history": self.history, "protocol": said}

    def _clean(self, table: pa.Table, rows: np.ndarray) -> np.ndarray:
        """Return the rows whose window is to be learnt from: under one-class, those that reach no known anomaly."""
        if self.card.protocol != "one-class":
            return rows
        truth = self.alarms.encode(table["target"].to_pylist()) == 1
        series = numbered(table["group"].to_pylist())
        near = np.zeros(len(truth), bool)
        for own in (np.flatnonzero(series == name) for name in np.unique(series)):
            until = np.append(0, np.cumsum(truth[own]))
            at = np.arange(1, len(own) + 1)
            near[own] = until[at] > until[np.maximum(at - self.card.window, 0)]
        if (~near[rows]).sum() < min(LEAST, len(rows)):
            progress.notice(
                "too few rows are a whole window away from anomalies; windows that reach one are learnt too"
            )
            return rows
        return rows[~near[rows]]

    def _spaced(self, rows: np.ndarray) -> np.ndarray:
        """Return every so many of the rows: neighbouring windows hold nearly the same."""
        every = max(1, self.card.window // OFTEN, -(-len(rows) // MOST_WINDOWS))
        return rows[len(rows) - 1 :: -every][::-1] if len(rows) else rows

    def _last_rows(self, table: pa.Table) -> np.ndarray:
        return np.stack([self.read(value)[-1] for value in table["value"].to_pylist()])

    def scored(self, table: pa.Table, label: str) -> np.ndarray:
        parts = []
        for at in range(0, table.num_rows, 16 * self.batch_size):
            windows = self.windows(table.slice(at, 16 * self.batch_size), label)
            for start in range(0, len(windows), self.batch_size):
                own = list(windows[start : start + self.batch_size])
                parts.append(np.asarray(self.core.predict_on_batch(self.stacked(own, self.batch_size)))[: len(own)])
        return np.concatenate(parts)

    def chosen(self, scores: np.ndarray, truth: np.ndarray, rows: pa.Table, card: Any, unseen: bool) -> Alarms:
        if card.alarms_per_day is not None and (card.contamination, card.false_alarm_rate) != (None, None):
            raise UserError("give --alarms-per-day, --contamination or --false-alarm-rate, only one of them")
        alarms = super().chosen(scores, truth, rows, card, unseen)
        if card.alarms_per_day is not None:
            series, seconds = self.timeline(rows)
            order = np.argsort(series, kind="stable")
            quiet = order[~(truth[order] == 1)]
            timeline = Timeline.of(series[quiet], seconds[quiet])
            threshold = threshold_for_alarms(timeline, scores[quiet].astype(np.float64), card.alarms_per_day)
            alarms = replace(alarms, threshold=threshold, chosen_by=f"{card.alarms_per_day:g} alarms a day")
        if card.margin != 1.0 and not alarms.chosen_by.startswith("F1"):
            said = f"{alarms.chosen_by}, times {card.margin:g}"
            alarms = replace(alarms, threshold=alarms.threshold * card.margin, chosen_by=said)
        return alarms

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Return an isolation forest and principal components of the same windows, alarms chosen in the same way."""
        return rivals(self, table, splits, self._fitted_on, self._scale)

    # What does it say?

    def answer_schema(self) -> pa.Schema:
        return pa.schema([pa.field("time", pa.string()), *super().answer_schema()])

    def measured_schema(self) -> pa.Schema:
        return pa.schema([("values", pa.list_(pa.float32()))])

    def rows(self, outputs: np.ndarray) -> dict[str, Any]:
        count = len(self.schema["columns"])
        return super().rows(outputs) | {"values": list(outputs[:, 1 + count :])}

    def reason_fields(self) -> list[tuple[str, pa.DataType]]:
        return [("reasons", pa.list_(pa.struct([("column", pa.string()), ("contribution", pa.float32())])))]

    def reasons(self, outputs: np.ndarray) -> dict[str, Any]:
        names = self.schema["columns"]
        parts = outputs[:, 1 : 1 + len(names)]
        best = np.argsort(-parts, axis=1, kind="stable")[:, :REASONS].tolist()
        return {
            "reasons": [
                [{"column": names[place], "contribution": float(row[place])} for place in order if row[place] > 0]
                for order, row in zip(best, parts, strict=True)
            ]
        }

    def example(self) -> str:
        return (
            "import numpy as np\n\n\n"
            "def read(path):  # float32 [window, columns]: the row and those before it, NaN for what is missing\n"
            "    return np.load(path).astype(np.float32)\n"
        )
