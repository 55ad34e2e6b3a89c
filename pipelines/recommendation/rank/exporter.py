"""How an exported ranker is fed without horngate."""

from horngate.pipelines.tasks.bases import ModelExporter

EXAMPLE = """import json

import numpy as np

columns = json.loads((Path(__file__).parent / "schema.json").read_text("utf-8"))["columns"]


def read(path):  # a file with one JSON object: column -> value, those of the user's and item's side tables among them
    cells, row = json.loads(Path(path).read_text("utf-8")), []
    for column in columns:
        cell, known = cells[column["name"]], column.get("categories")
        if "slots" in column:
            values = cell if isinstance(cell, list) else [cell] if cell is not None else []
            found = [known.index(value) if value in known else len(known) for value in values]
            row += (found + [np.nan] * column["slots"])[: column["slots"]]
        elif cell is None:
            row.append(np.nan)
        else:
            row.append(float(cell) if known is None else known.index(str(cell)) if str(cell) in known else len(known))
    return np.array(row, np.float32)
"""


class RankExporter(ModelExporter):
    """Hands over a model from rows to scores."""

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        encoder = self.fitted.decisions
        return {"inputs": (None, None), "outputs": (0, 1) if encoder.clicks else (encoder.low, encoder.high)}

    def reading(self) -> str:
        return EXAMPLE
