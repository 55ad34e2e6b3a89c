"""Strange rows of a table."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines import progress
from horngate.pipelines.anomaly.columns import Facts, cells_of, settled, vector_of
from horngate.pipelines.data.reading import content, in_order, inputs_of
from horngate.pipelines.detector import Detector
from horngate.pipelines.errors import Unreadable, UserError
from horngate.pipelines.page.plot import Shown
from horngate.pipelines.run import Run

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
        cells_of(data)
        return Facts(data)

    def settle(self, facts: list[Facts]) -> None:
        if self.card.class_weights != "none":
            raise UserError("--class-weights is for classes; leave it out")
        rows = [cells_of(fact.data) for fact in facts]
        self.schema = {
            "kind": "table",
            "columns": settled(rows, self.card.feature_column or None, self.card.drop_column or ()),
        }

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        if self._codes is None:
            lists = [column.get("categories", []) for column in self.columns]
            self._codes = [{name: code for code, name in enumerate(names)} for names in lists]
        return vector_of(cells_of(data), self.columns, self._codes)

    def matrix(self, table: pa.Table, label: str) -> np.ndarray:
        """Return all rows as float32 `[n, columns]`.

        Raises:
            UserError: a row that can't be read.
        """
        rows = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
        stream = in_order(lambda row: self.read(content(*row)), rows, ahead=4096)
        found = np.empty((table.num_rows, len(self.columns)), np.float32)
        for place, row in enumerate(progress.tracked(stream, label, table.num_rows)):
            if isinstance(row, Unreadable):
                raise UserError(f"{table['id'][place].as_py()}: {row}")
            found[place] = row
        return found

    def scored(self, table: pa.Table, label: str) -> np.ndarray:
        return self._said(self.matrix(table, label))

    def _said(self, rows: np.ndarray) -> np.ndarray:
        parts = range(0, len(rows), self.batch_size)
        return np.concatenate([np.asarray(self.core.predict_on_batch(rows[at : at + self.batch_size])) for at in parts])

    def learn(self, table: pa.Table, places: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
        from horngate.models.columns import columns_layer
        from horngate.models.detectors import Standing, axes, joined, neighbours

        train = self.matrix(table.take(pa.array(places["train"])), "reading the training rows")
        held = self.matrix(table.take(pa.array(places["validation"])), "reading the validation rows")
        columns = columns_layer(
            train.astype(np.float64), [len(column.get("categories", ())) for column in self.columns]
        )
        features = np.asarray(columns(train))
        detector = axes(features) if self.card.detector == "pca" else neighbours(features, 10, 10_000, self.card.seed)
        standing = Standing(columns.sources, name=f"{detector.name}_standing")
        standing.build((None, 1 + features.shape[1]))
        some = np.asarray(columns(held)) if len(held) else features
        standing.fit(np.asarray(detector(some))[:, 0])
        self.answers = joined(columns, train.shape[1], [(detector, standing, 1.0)])
        return {"method": self.card.detector, "why": "asked for"}

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
        return {}

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
