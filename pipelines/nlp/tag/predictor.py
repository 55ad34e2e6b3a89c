"""From scores of tokens to spans of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.nlp.tag.alignment import speaking
from horngate.pipelines.nlp.tag.reader import overlap_of
from horngate.pipelines.nlp.tag.spans import Span, Tags
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted
from horngate.pipelines.tasks.predictor import ModelPredictor, kept_model

SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("score", pa.float32())])


class SpanPredictor(ModelPredictor):
    """Answers texts with spans. The model is a `Tagger`, the decisions are its `Tags`."""

    @property
    def core(self) -> Any:
        return self.fitted.model.answers

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (AnswerColumn("spans", pa.list_(SPAN)),)

    def join(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> list[Span]:
        """Return the spans of a text from the scores of its windows."""
        spoken = [speaking(tensor) for tensor in tensors]
        pairs = zip(spoken, outputs, strict=True)
        return self.fitted.decisions.merged([(words, scores[places]) for (places, words), scores in pairs])

    def answers(self, listed: pa.Table | None, outputs: Sequence[list[Span]], labelled: bool) -> dict[str, Any]:
        return {"spans": [[span._asdict() for span in spans] for spans in outputs]}

    def load_state(self, folder: Path) -> Fitted:
        tags, schema = Tags.read(folder / "labels.json"), read_json(folder / "schema.json")
        length = schema["length"]
        tokens = tokenizers.opened(folder / "tokenizer.json", length, overlap_of(length))
        return Fitted(schema, tokens, tags, files=("labels.json", "tokenizer.json"))

    def load_model(self, run: Run) -> Any:
        from horngate.models.text.tagging import Tagger  # Keras, which a bundle of another runtime does without

        network = Tagger.within(kept_model(run))
        if network.answers.output_shape[-1] != len(self.fitted.decisions.labels):
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of labels")
        return network

    def features(self, batch: np.ndarray) -> np.ndarray:
        """Return the mean of each text's token features."""
        there = (batch != self.fitted.schema["pad"])[..., None]
        features = np.asarray(self.fitted.model.encoder.predict_on_batch(batch))
        return (features * there).sum(1) / np.maximum(there.sum(1), 1)
