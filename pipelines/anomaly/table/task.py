"""Strange rows of a table."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tables.columns import Facts, cells_of, codes_of, refuse_infinite, settled, vector_of
from horngate.pipelines.tables.inspection import LOOKED_AT, Sought, column_findings
from horngate.pipelines.tables.matrix import filled
from horngate.pipelines.tasks.alarms import Alarms
from horngate.pipelines.tasks.detector import Detector

REASONS = 5  # columns
WATCHED = 40  # columns whose drift is looked at one by one; wider tables are by their features alone


class Pipeline(Detector):
    """`horngate anomaly table`."""

    batch_size = 1024

    def __init__(self, card: Any):
        super().__init__(card)
        self._codes: list[dict[str, int]] | None = None

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the schema, in its order."""
        return self.schema["columns"]

    def inspect(self, data: bytes, suffix: str) -> Facts:
        refuse_infinite(cells_of(data))
        return Facts(data)

    def settle(self, facts: list[Facts]) -> None:
        rows, self._codes = [cells_of(fact.data) for fact in facts], None
        self.schema = {"kind": "table", "columns": self._settled(rows)}

    def _settled(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return settled(rows, self.card.feature_column or None, self.card.drop_column or ())

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        if self._codes is None:
            self._codes = codes_of(self.columns)
        return vector_of(cells_of(data), self.columns, self._codes)

    def matrix(self, table: pa.Table, label: str) -> np.ndarray:
        """Return all rows as float32 `[n, columns]`; one that doesn't fit the types of the training rows is all gaps."""
        found = np.empty((table.num_rows, len(self.columns)), np.float32)
        filled(self.read, table, found, label)
        return found

    def scored(self, table: pa.Table, label: str) -> np.ndarray:
        return self.outputs_of(self.matrix(table, label))

    def outputs_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the core's outputs for rows float32 `[n, columns]` in memory, as `read` gives them."""
        whole = np.resize(rows, (-(-len(rows) // self.batch_size) * self.batch_size, rows.shape[1]))
        parts = np.split(whole, len(whole) // self.batch_size)
        return np.concatenate([np.asarray(self.core.predict_on_batch(part)) for part in parts])[: len(rows)]

    def learn(self, table: pa.Table, places: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
        from horngate.models.columns import columns_layer

        card, own = self.card, self._learnt_from(places)
        truth = np.isin(own, places["anomalies"]) & self._instructed(places)
        train = self.matrix(table.take(pa.array(own)), "reading the training rows")
        held = self.matrix(table.take(pa.array(self._usual(table, places))), "reading the validation rows")
        columns = columns_layer(train.astype(np.float64), self._sizes)
        fitting = self._fitted(columns, (train, held, truth), run)
        learnt = int(truth.sum())
        why = "asked for" if card.detector != "auto" else f"the average of {', '.join(fitting.costs)}"
        return {
            "method": card.detector,
            "why": why + (f"; {learnt} known anomalies were learnt from" if learnt else ""),
            "costs": fitting.costs,
            "history": fitting.history,
            "protocol": {"learnt_anomalies": learnt},
        }

    def _usual(self, table: pa.Table, places: dict[str, np.ndarray]) -> np.ndarray:
        """Return the validation rows that say how usual rows score: by the protocol, without known anomalies."""
        rows = places["validation"]
        if self.card.protocol == "contaminated":
            return rows
        return rows[self.alarms.encode(table["target"].take(pa.array(rows)).to_pylist()) != 1]

    @property
    def _sizes(self) -> list[int]:
        """How many categories each column has; 0 for numbers."""
        return [len(column.get("categories", ())) for column in self.columns]

    def _instructed(self, places: dict[str, np.ndarray]) -> bool:
        """Return whether known anomalies are learnt from as such.

        Raises:
            UserError: they should be, and there are none.
        """
        wished = self.card.labelled or self.card.detector == "deviation"
        if self.card.labelled and self.card.detector not in ("auto", "deviation"):
            raise UserError(
                f"--labelled is for auto and deviation; {self.card.detector} can't learn from known anomalies"
            )
        if wished and not len(places["anomalies"]):
            what = "--labelled" if self.card.labelled else f"--detector {self.card.detector}"
            raise UserError(f"{what} learns from known anomalies, and no training row is one")
        return wished

    def _learnt_from(self, places: dict[str, np.ndarray]) -> np.ndarray:
        if not self._instructed(places):
            return places["train"]
        return np.union1d(places["train"], places["anomalies"])

    def _fitted(self, columns: Any, rows: tuple[np.ndarray, np.ndarray, np.ndarray], run: Run) -> Any:
        """Fit what the card asks for on (training rows, validation rows, known anomalies); set `answers`."""
        from horngate.models.anomaly.detectors import in_parts, instructed, joined, opinions
        from horngate.models.anomaly.trees import labelled_forest
        from horngate.pipelines.anomaly.table.fitting import Fitting

        train, held, truth = rows
        features = in_parts(columns, train)
        some = in_parts(columns, held) if len(held) else features[:0]
        usual = truth if self.card.detector == "deviation" else np.zeros(len(train), bool)
        left_out = truth & (self.card.protocol == "one-class") & (self.card.detector == "auto")
        fitting = Fitting(self.card, run, features[~left_out], some, usual[~left_out], columns.sources)
        members = fitting.members()
        if self.card.detector != "auto" or not truth.any():
            self.answers = joined(columns, train.shape[1], members)
            return fitting
        seen = opinions(features, members)
        self.answers = instructed(columns, train.shape[1], members, labelled_forest(seen, truth, self.card.seed))
        return fitting

    def reason_fields(self) -> list[tuple[str, pa.DataType]]:
        return [("reasons", pa.list_(pa.struct([("column", pa.string()), ("contribution", pa.float32())])))]

    def reasons(self, outputs: np.ndarray) -> dict[str, Any]:
        shares = outputs[:, 1:]
        names = [column["name"] for column in self.columns]
        best = np.argsort(-shares, axis=1, kind="stable")[:, :REASONS]
        found = [
            [{"column": names[place], "contribution": float(row[place])} for place in order if row[place] > 0]
            for order, row in zip(best.tolist(), shares, strict=True)
        ]
        return {"reasons": found}

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        if len(self.columns) > WATCHED:
            return {}
        return {column["name"]: float(value) for column, value in zip(self.columns, tensor, strict=True)}

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.core.get_layer("columns")(batch))

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Return isolation forest, ECOD, nearest neighbours and principal components on the same training rows."""
        from horngate.pipelines.anomaly.table.baselines import rivals

        truth = self.alarms.encode(table["target"].to_pylist())
        learnt = (splits == "train") & ~((truth == 1) & (self.card.protocol == "one-class"))
        made = rivals(self.matrix(table.filter(pa.array(learnt)), "fitting references"), self._sizes, self.card.seed)
        held = {name: splits == name for name in ("validation", "test") if (splits == name).any()}
        rows = {name: self.matrix(table.filter(pa.array(own)), f"references on {name}") for name, own in held.items()}
        return {name: {split: score(own) for split, own in rows.items()} for name, score in made.items()}

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        found = super().findings(table, splits)
        if any(finding.grade == "error" for finding in found):
            return found
        truth = Alarms.named(targets := table["target"].to_pylist(), self.card).encode(targets)
        chosen = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, LOOKED_AT)).astype(int))
        rows, truth = [cells_of(data) for data in inputs_of(table.take(pa.array(chosen)))], truth[chosen]
        return found + column_findings(rows, truth, lambda: self._settled(rows), Sought())

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the cells of the columns that made the score, the strongest first."""
        found = []
        for data, answer in zip(inputs_of(rows), answers, strict=True):
            cells = cells_of(data)
            parts = [f"{reason['column']} {_short(cells.get(reason['column']))}" for reason in answer["reasons"]]
            found.append(Shown(text=", ".join(parts)))
        return found

    def example(self) -> str:
        return (
            "import json\n\nimport numpy as np\n\n"
            "columns = json.loads((Path(__file__).parent / 'schema.json').read_text('utf-8'))['columns']\n\n\n"
            "def read(path):  # a file with one JSON object: column -> value, null for a gap\n"
            "    cells = json.loads(Path(path).read_text('utf-8'))\n"
            "    def value(column):\n"
            "        cell, known = cells[column['name']], column.get('categories')\n"
            "        if cell is None:\n            return np.nan\n"
            "        return float(cell) if not known else known.index(cell) if cell in known else len(known)\n"
            "    return np.array([value(column) for column in columns], np.float32)\n"
        )


def _short(cell: Any) -> str:
    text = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
    return text if len(text) <= 24 else f"{text[:23]}…"
