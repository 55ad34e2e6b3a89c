"""From texts to embeddings."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, Said
from horngate.pipelines.tasks.predictor import ModelPredictor
from horngate.pipelines.tasks.row_by_row import row_by_row


class PairPredictor(ModelPredictor):
    """Embeds the first text of each row, and where answers are measured, both. The model gives embeddings of length 1."""

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("embedding", pa.list_(pa.float32())),
            AnswerColumn("similarity", pa.float32(), "measured"),
            AnswerColumn("pair_embedding", pa.list_(pa.float32()), "measured"),
        )

    def load_state(self, folder: Path) -> Fitted:
        fitted = super().load_state(folder)
        tokens = tokenizers.opened(folder / "tokenizer.json", fitted.schema["length"])
        return fitted.having(lookup=tokens, files=("tokenizer.json",))

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        return row_by_row(self.task.reader.taking("both" if labelled else "first"), self, blocks, labelled)

    def join(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> np.ndarray:
        first, *rest = outputs
        return np.stack([first, rest[0] if rest else np.full_like(first, np.nan)])

    def answers(self, listed: pa.Table | None, outputs: Sequence[np.ndarray], labelled: bool) -> dict[str, Any]:
        first, second = np.stack(outputs, 1)
        alone = np.isnan(second[:, 0])  # there is no second text
        similar = pa.array((first * second).sum(1), pa.float32(), mask=alone)
        return {"embedding": list(first), "similarity": similar, "pair_embedding": list(second)}

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.core.predict_on_batch(batch))
