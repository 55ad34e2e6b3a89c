"""What all tasks share that take texts: how tokens become batches, and what encodes them."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines import presets, progress
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import read_json
from horngate.pipelines.nlp.tokens import Tokens

STEP = (
    8  # tokens: texts are filled up to a multiple of it, longer ones (from 64 on) to one of an eighth of their length
)


class Encoding:
    """A part of a pipeline; the whole has `card` and `schema`, and `tokens` once it is settled."""

    card: Any
    schema: dict[str, Any]
    tokens: Tokens
    uneven = True

    @property
    def _longest(self) -> int:
        from horngate.models.text import longest

        return 512 if self._backbone is None else longest(self._backbone)

    @cached_property
    def _backbone(self) -> Any:
        """The pretrained backbone, or None."""
        from horngate.models.backbones import BackboneError
        from horngate.models.text import text_backbone

        if self.card.backbone is None:
            return None
        try:
            return text_backbone(presets.found(self.card.backbone), self.card.weights)
        except BackboneError as problem:
            raise UserError(str(problem)) from None

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone is not None and self.card.weights != "none"

    def _encoder(self) -> Any:
        """Return the model from token ids to features, pretrained where wished."""
        from horngate.models.text import Marks, small_lstm, small_transformer, text_encoder

        backbone = self._backbone
        if backbone is None:
            size, length = self.tokens.vocabulary, self.schema["length"]
            backbone = small_lstm(size) if self.card.network == "lstm" else small_transformer(size, length)
        if not self.pretrained:
            progress.notice(f"no pretrained weights: {backbone.name} starts from random weights")
        return text_encoder(backbone, Marks(self.schema["pad"], self.schema["separator"]), self._pooling())

    def _pooling(self) -> str:
        """Return how tokens become a text's features: as the checkpoint's own note on it says, else their mean."""
        if self.card.pooling != "auto":
            return self.card.pooling
        note = Path(self.card.backbone or "") / "1_Pooling" / "config.json"
        return "first" if note.is_file() and read_json(note).get("pooling_mode_cls_token") else "mean"

    def size_of(self, tensor: np.ndarray) -> int:
        step = max(STEP, 1 << max(len(tensor).bit_length() - 4, 0))
        return step * -(-len(tensor) // step)

    def stacked(self, tensors, rows: int | None = None) -> np.ndarray:
        longest = max(self.size_of(tensor) for tensor in tensors if tensor is not None)
        batch = np.full((rows or len(tensors), longest), self.schema["pad"], np.int32)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place, : len(tensor)] = tensor
        return batch

    def example(self) -> str:
        return (
            "import numpy as np\nfrom tokenizers import Tokenizer\n\n"
            "tokenizer = Tokenizer.from_file(str(Path(__file__).parent / 'tokenizer.json'))\n\n\n"
            "def read(path):\n"
            "    return np.array(tokenizer.encode(Path(path).read_text('utf-8').strip()).ids, np.int32)\n"
        )
