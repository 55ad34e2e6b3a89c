"""What a ranker says of its rows: scores, whose they are, and how often these were seen; and how it is handed over."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.sources.tables import free_name
from horngate.pipelines.recommendation.interactions.side_files import ROLES
from horngate.pipelines.recommendation.interactions.side_tables import FILE, SideTables
from horngate.pipelines.recommendation.rank.target_encoder import TargetEncoder
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tables.columns import is_gap, text_in
from horngate.pipelines.tasks.bases import ModelExporter
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted
from horngate.pipelines.tasks.predictor import ModelPredictor

FEW = range(2, 13)  # categories of a column that rows are sliced by
MOST_SLICED = 6  # columns
STEPS = ((0, "unseen"), (9, "1–9"), (49, "10–49"), (199, "50–199"))


class RankPredictor(ModelPredictor):
    """Scores rows. The output of the core model is float32 `[n, 1]`, the score."""

    batch_size = 1024

    def columns(self) -> tuple[AnswerColumn, ...]:
        roles = self.fitted.schema["roles"]
        names = ["user", "user_activity"] if roles["user"] else []
        names += ["item_popularity"] if roles["item"] else []
        names += ["unseen"] if any(roles.values()) else []
        names += [free_name(name, self.card) for name in self._sliced]
        measured = (AnswerColumn(name, pa.string(), "measured" if name == "user" else "slice") for name in names)
        return (AnswerColumn("score", pa.float32()), *measured)

    @cached_property
    def _sliced(self) -> list[str]:
        """The columns of few categories that rows are sliced by."""
        names = [
            column["name"]
            for column in self.fitted.schema["columns"]
            if column["type"] == "category" and len(column["categories"]) in FEW
        ]
        return [name for name in names if name not in self.fitted.schema["roles"].values()][:MOST_SLICED]

    def answers(self, listed: pa.Table | None, outputs: np.ndarray, labelled: bool) -> dict[str, Any]:
        said: dict[str, Any] = {"score": outputs[:, 0].astype(np.float32)}
        if not labelled:
            return said
        rows = [self._measured(data) for data in inputs_of(listed)]
        return said | {column.name: [row[column.name] for row in rows] for column in self.columns()[1:]}

    def _measured(self, data: bytes) -> dict[str, str | None]:
        """Return whose a row is, how often these were seen, and what it is sliced by."""
        reader = self.task.reader
        cells = reader.whole_cells(data)
        times = reader.times_learnt(cells)
        facts = {"user": reader.user_of(cells), "user_activity": _step(times.get("user"))}
        facts["item_popularity"] = _step(times.get("item"))
        facts["unseen"] = ", ".join(role for role, rows in times.items() if rows == 0) or "nothing"
        return facts | {
            free_name(name, self.card): None if is_gap(cells.get(name)) else text_in(cells[name])
            for name in self._sliced
        }

    def load_state(self, folder: Path) -> Fitted:
        schema, tables = read_json(folder / "schema.json"), SideTables.kept(folder / FILE)
        return Fitted(schema, tables, TargetEncoder.read(schema["aim"]), files=(FILE,) if tables.rows else ())

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        tables, changed = self.fitted.lookup, {}
        for role, knob in ROLES.items():
            if path := options.get(knob):
                if role not in tables.columns:
                    raise UserError(f"the run was trained without --{knob}; train anew with it")
                tables = tables.having(role, Path(path), self.fitted.schema["roles"][role], self.card)
                for finding in tables.findings:
                    progress.notice(finding.message)
                changed[knob] = tables.fingerprint
        return self.fitted.having(lookup=tables), changed

    def features(self, batch: np.ndarray) -> np.ndarray:
        from horngate.models.recommendation.rankers import features_of  # Keras, which a bundle does without

        return np.asarray(features_of(self.core)(batch))

    def remarks(self) -> list[str]:
        return [f"rows with {what}: {count:,}" for what, count in sorted(self.task.reader.strange.items())]


def _step(rows: int | None) -> str | None:
    """Return in words how often an id was seen."""
    if rows is None:
        return None
    return next((name for most, name in STEPS if rows <= most), "200 and more")


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
