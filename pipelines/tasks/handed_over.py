"""How a task's model is handed over: what is exported, what proves it, and how it is used without horngate."""

import json
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import Runtime


class HandedOver(ABC):
    """A part of a pipeline; the whole has `batch_size`, `answer_schema`, `carried`, and `rows` or its own `acted_on`.

    Attributes:
        handed_over: files of a run that `recall` needs beside schema.json.
        unexportable: one sentence, for a task whose model can't be exported.
        runtime: what computes the forward pass instead of Keras, or None.
    """

    handed_over: tuple[str, ...] = ("labels.json",)
    unexportable: str | None = None
    runtime: Runtime | None = None

    @property
    @abstractmethod
    def core(self) -> Any:
        """The Keras model from a batch of tensors to outputs: what is exported and what other runtimes run."""

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return outputs for a batch of tensors, from the runtime that was chosen, else from Keras."""
        if self.runtime is not None:
            return self.runtime.run(batch)
        return np.asarray(self.core.predict_on_batch(batch))

    @property
    def step(self) -> int:
        """Rows that are computed together: batches are filled up to a multiple of it."""
        return self.batch_size if self.runtime is None else self.runtime.batch

    @abstractmethod
    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        """Return up to `count` real tensors, drawn from the rows of these splits in their order, then from others.

        Args:
            data: where to take them from; None for the run's own.

        Raises:
            UserError: there are none.
        """

    def made_up(self, count: int) -> np.ndarray:
        """Return made-up tensors `[count, …]` of the shape that the model takes, for golden rows where rows are private.

        Each is noise of its own level and width within `ranges` (unbounded: 0 to 1), drawn from the card's seed.
        """
        entry, draw = self.core.inputs[0], np.random.default_rng(self.card.seed)
        low, high = self.ranges["inputs"]
        low, high = 0.0 if low is None else low, 1.0 if high is None else high
        shape = (count, *(length or 1 for length in entry.shape[1:]))
        levels = draw.uniform(size=(count, *(1,) * (len(shape) - 1)))
        widths = draw.uniform(0.05, 1, size=levels.shape)
        noise = levels + widths * (draw.uniform(size=shape) - 0.5)
        return (low + np.clip(noise, 0, 1) * (high - low)).astype(entry.dtype)

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        """The least and greatest values of the exported model's `inputs` and `outputs`; None where unbounded."""
        return {"inputs": (None, None), "outputs": (None, None)}

    def serving(self) -> Any:
        """Return a TensorFlow function from encoded inputs (string `[n]`) to `label`, `score`, `scores`; None for none."""
        return None

    def encoded(self, tensor: np.ndarray) -> bytes | None:
        """Return an encoded input that `serving` decodes to exactly this tensor; None where there is no such form."""
        return None

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return what a user acts on in bare outputs, one dict each: answers without their numbers, as JSON has them."""
        kinds = {field.name: str(field.type) for field in self.answer_schema() if field.name not in self.carried}
        kept = [name for name, kind in kinds.items() if "float" not in kind and "double" not in kind]
        if not kept:
            return [{} for _ in outputs]
        found = self.rows(outputs)
        columns = [json.loads(json.dumps(found[name], default=lambda left: left.tolist())) for name in kept]
        return [dict(zip(kept, row, strict=True)) for row in zip(*columns, strict=True)]

    def saying(self) -> str:
        """Return the source of a Python function `answer(path, outputs)` that gives the texts to print of one file."""
        return 'def answer(path, outputs):\n    return [*(f"{number:.4f}" for number in np.ravel(outputs)[:8]), "…"]\n'

    def example(self) -> str:
        """Return the source of a Python function `read(path)` that gives the exported model's tensor, without horngate."""
        return "import numpy as np\n\n\ndef read(path):\n    return np.load(path)\n"
