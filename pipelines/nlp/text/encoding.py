"""What all tasks share that take texts: how tokens become batches, and what encodes them."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.tokenizers import Tokens
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.system.files import read_json

STEP = (
    8  # tokens: texts are filled up to a multiple of it, longer ones (from 64 on) to one of an eighth of their length
)
NEARLY_ALL = 0.995  # of the training texts are not cut, where no length is given
ROOM = 1.1  # for texts to come, which may be a little longer


class Encoding:
    """A part of a pipeline; the whole has `card` and `schema`, and `tokens` once it is settled."""

    card: Any
    schema: dict[str, Any]
    tokens: Tokens
    uneven = True

    @property
    def _longest(self) -> int:
        from horngate.models.text.encoders import longest

        return 512 if self._backbone is None else longest(self._backbone)

    @cached_property
    def _backbone(self) -> Any:
        """The pretrained backbone, or None."""
        from horngate.models.backbones.pictures import BackboneError
        from horngate.models.text.encoders import text_backbone

        if self.card.backbone is None:
            return None
        try:
            return text_backbone(pretrained.found(self.card.backbone), self.card.weights)
        except BackboneError as problem:
            raise UserError(str(problem)) from None

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone is not None and self.card.weights != "none"

    def _settled(self, texts: list[str]) -> dict[str, Any]:
        """Make `tokens` of a length that nearly all texts have; return what a schema keeps of them."""
        name = None if self._backbone is None else pretrained.found(self.card.backbone)
        tokenizer = tokenizers.learnt(texts) if name is None else tokenizers.of_backbone(name)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        lengths = np.array([len(one.ids) for one in tokenizer.encode_batch(texts)])
        wished = self.card.max_length or int(ROOM * np.quantile(lengths, NEARLY_ALL)) + 2
        length = int(min(max(STEP * -(-wished // STEP), STEP), self._longest))
        self.tokens = Tokens(tokenizer, length)
        return {"kind": "text", "length": length, "pad": self.tokens.pad, "separator": self.tokens.separator}

    def _encoder(self) -> Any:
        """Return the model from token ids to features of a text, pretrained where wished."""
        from horngate.models.text.encoders import Marks, text_encoder

        marks = Marks(self.schema["pad"], self.schema["separator"])
        return text_encoder(self._learner(), marks, self._pooling())

    def _learner(self) -> Any:
        """Return the backbone that learns: the card's, or a small network from a random start."""
        from horngate.models.text.encoders import small_lstm, small_transformer

        backbone = self._backbone
        if backbone is None:
            size, length = self.tokens.vocabulary, self.schema["length"]
            backbone = small_lstm(size) if self.card.network == "lstm" else small_transformer(size, length)
        if not self.pretrained:
            progress.notice(f"no pretrained weights: {backbone.name} starts from random weights")
        return backbone

    def _pooling(self) -> str:
        """Return how tokens become a text's features: as the checkpoint's own note on it says, else their mean."""
        if self.card.pooling != "auto":
            return self.card.pooling
        note = Path(self.card.backbone or "") / "1_Pooling" / "config.json"
        return "first" if note.is_file() and read_json(note).get("pooling_mode_cls_token") else "mean"

    def size_of(self, tensor: np.ndarray) -> int:
        step = max(STEP, 1 << max(len(tensor).bit_length() - 4, 0))
        return min(step * -(-len(tensor) // step), self.schema["length"])

    def ids_of(self, tensor: np.ndarray) -> np.ndarray:
        """Return what the model takes of a tensor, int32 `[n]`."""
        return tensor

    def stacked(self, tensors, rows: int | None = None) -> np.ndarray:
        longest = max(self.size_of(tensor) for tensor in tensors if tensor is not None)
        batch = np.full((rows or len(tensors), longest), self.schema["pad"], np.int32)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place, : len(tensor)] = self.ids_of(tensor)
        return batch

    def example(self) -> str:
        return (
            "import numpy as np\nfrom tokenizers import Tokenizer\n\n"
            "tokenizer = Tokenizer.from_file(str(Path(__file__).parent / 'tokenizer.json'))\n\n\n"
            "def read(path):\n"
            "    return np.array(tokenizer.encode(Path(path).read_text('utf-8').strip()).ids, np.int32)\n"
        )


class Lengths:
    """How many tokens the texts have that were read, for a report."""

    def __init__(self):
        self.counts: Counter = Counter()  # tokens -> texts
        self.longer = [0, 0]  # texts that are longer than the model takes, and their tokens beyond
        self.lock = Lock()

    def saw(self, count: int, beyond: int) -> None:
        """Count a text of so many tokens, of which some are more than the model takes at once."""
        with self.lock:
            self.counts[count] += 1
            self.longer[0] += beyond > 0
            self.longer[1] += beyond

    def told(self, most: int, cut: bool) -> dict[str, Any]:
        """Return what a report says, as `tokens`; nothing where no text was read.

        Args:
            most: tokens that the model takes at once.
            cut: whether longer texts are cut there; else they get further windows.
        """
        if not self.counts:
            return {}
        sizes = np.array(sorted(self.counts.elements()))
        found = {"most": most, "median": float(np.median(sizes)), "longest": int(sizes[-1])}
        if cut:
            found |= {"cut_rows": self.longer[0] / len(sizes), "cut_tokens": self.longer[1] / int(sizes.sum())}
        else:
            found |= {"windowed_rows": self.longer[0] / len(sizes)}
        return {"tokens": found | {"counts": {str(size): count for size, count in sorted(self.counts.items())}}}
