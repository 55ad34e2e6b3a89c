"""What exporters share."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from horngate.pipelines.data.relisting import read_again
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.parts import Serving

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class ModelExporter:
    """Hands the core model over. A task adds the `ranges` of its tensors, and how they are made without horngate."""

    unexportable: str | None = None
    ranges: dict[str, tuple[float | None, float | None]] = {"inputs": (None, None), "outputs": (None, None)}

    def __init__(self, task: "Task"):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        return read_again(self.task, run, data, count, splits)

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        columns = [column for column in self.task.predictor.columns() if column.role == "answer"]
        kept = [column.name for column in columns if not any(word in str(column.type) for word in ("float", "double"))]
        if not kept:
            return [{} for _ in outputs]
        found = self.task.predictor.answers(None, outputs, labelled=False)
        cells = [json.loads(json.dumps(found[name], default=lambda left: left.tolist())) for name in kept]
        return [dict(zip(kept, row, strict=True)) for row in zip(*cells, strict=True)]

    def reading(self) -> str:
        return "import numpy as np\n\n\ndef read(path):\n    return np.load(path)\n"

    def answering(self) -> str:
        return 'def answer(path, outputs):\n    return [*(f"{number:.4f}" for number in np.ravel(outputs)[:8]), "…"]\n'

    def serving(self) -> Serving | None:
        return None
