"""A task that answers rows one by one: each is read into tensors, the core model computes them, outputs become answers."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.base import Pipeline
from horngate.pipelines.card import Data
from horngate.pipelines.run import Run
from horngate.pipelines.runtimes import Runtime


class RowByRow(Pipeline):
    """What tasks answer whose rows are read, computed and told one by one; such models can be exported.

    Attributes:
        runtime: what computes the forward pass instead of Keras, or None.
    """

    def __init__(self, card: Data):
        super().__init__(card)
        self.runtime: Runtime | None = None

    # What is a row?

    def survey(self) -> Any:
        from horngate.pipelines.data.survey import survey

        return survey(self)

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        from horngate.pipelines.data.listed_again import own_rows

        return own_rows(run, self.suffixes, split)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        from horngate.pipelines.data.listed_again import other_rows

        return other_rows(self.card, self.suffixes, data, split)

    @abstractmethod
    def inspect(self, data: bytes, suffix: str) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.

        Raises:
            Unreadable: with the reason.
        """

    # A row may hold several tensors (two texts that are compared, windows of a long one): `read` returns a tuple of them
    # then. Each is computed by itself, and the outputs of a row are joined; `rows` takes a list of what they make.
    parted = False

    def joined(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> Any:
        """Return what one row's outputs make together; both lists hold one entry per tensor of the row, in its order."""
        (output,) = outputs
        return output

    # Tensors whose first axis differs in length (texts, sounds) are batched with others that are filled up as far.
    uneven = False

    def size_of(self, tensor: np.ndarray) -> int:
        """Return the length that an uneven tensor is filled up to."""
        return len(tensor)

    # What does it say?

    @property
    @abstractmethod
    def core(self) -> Any:
        """The Keras model from a batch of `read`'s tensors to outputs: what is exported and what other runtimes run."""

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return outputs for a batch of tensors, from the runtime that was chosen, else from Keras."""
        if self.runtime is not None:
            return self.runtime.run(batch)
        return np.asarray(self.core.predict_on_batch(batch))

    @property
    def step(self) -> int:
        """Rows that are computed together: batches are filled up to a multiple of it."""
        if self.runtime is not None:
            return self.runtime.batch
        return min(self.batch_size, 8) if self.uneven else self.batch_size

    @abstractmethod
    def rows(self, outputs: Sequence) -> dict[str, list]:
        """Return the answer columns of outputs (joined ones, where rows are parted), and those of `measured_schema`."""

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, list]:
        """Return what `rows` does, for a task whose answers need the listed rows themselves, one for each output."""
        return self.rows(outputs)

    # How is it handed over?

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
