"""How strange rows of a table are shown on pages, and how an exported model's rows are read."""

import json
from typing import Any

import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.tables.columns import cells_of
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyDisplay, AnomalyExporter


class CellDisplay(AnomalyDisplay):
    """Shows the cells of the columns that made the score, the strongest first."""

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        found = []
        for data, answer in zip(inputs_of(rows), answers, strict=True):
            cells = cells_of(data)
            parts = [f"{reason['column']} {_short(cells.get(reason['column']))}" for reason in answer["reasons"]]
            found.append(Shown(text=", ".join(parts)))
        return found


class CellExporter(AnomalyExporter):
    """Hands over a model of rows that are JSON objects of cells."""

    def reading(self) -> str:
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
