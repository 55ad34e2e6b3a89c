"""What readers of texts share: a tokenizer that fits the texts, and batches of texts of about one length."""

from collections.abc import Sequence

import numpy as np

from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.lengths import Lengths
from horngate.pipelines.nlp.text.tokenizers import Tokens
from horngate.pipelines.system import pretrained
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

STEP = (
    8  # tokens: texts are filled up to a multiple of it, longer ones (from 64 on) to one of an eighth of their length
)
NEARLY_ALL = 0.995  # of the training texts are not cut, where no length is given
ROOM = 1.1  # for texts to come, which may be a little longer
LONGEST = 512  # tokens, of a network from a random start


class TokenReader(TensorReader):
    """Reads texts as token ids. The lookup is their `Tokens`. A task adds `inspect` and `read`.

    Attributes:
        lengths: of the texts that were read.
    """

    def __init__(self, task: Task):
        super().__init__(task)
        self.tokens: Tokens = task.fitted.lookup
        self.lengths = Lengths()

    def fitted_to(self, texts: list[str]) -> Fitted:
        """Return a tokenizer of a length that nearly all texts have, as lookup, with what a schema keeps of it.

        The model is the card's pretrained backbone, which says how long texts may be, or None.
        """
        backbone, longest = None, LONGEST
        if self.card.backbone is not None:
            from horngate.pipelines.nlp.text.encoders import opened  # Keras, which bundles do without

            backbone, longest = opened(self.card)
        name = None if backbone is None else pretrained.found(self.card.backbone)
        tokenizer = tokenizers.learnt(texts) if name is None else tokenizers.of_backbone(name)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        lengths = np.array([len(one.ids) for one in tokenizer.encode_batch(texts)])
        wished = self.card.max_length or int(ROOM * np.quantile(lengths, NEARLY_ALL)) + 2
        length = int(min(max(STEP * -(-wished // STEP), STEP), longest))
        tokens = Tokens(tokenizer, length)
        schema = {"kind": "text", "length": length, "pad": tokens.pad, "separator": tokens.separator}
        return Fitted(schema, tokens, model=backbone, files=("tokenizer.json",))

    def size_of(self, tensor: np.ndarray) -> int:
        step = max(STEP, 1 << max(len(tensor).bit_length() - 4, 0))
        return min(step * -(-len(tensor) // step), self.schema["length"])

    def ids_of(self, tensor: np.ndarray) -> np.ndarray:
        """Return what the model takes of a tensor, int32 `[n]`."""
        return tensor

    def collate(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        longest = max(self.size_of(tensor) for tensor in tensors if tensor is not None)
        batch = np.full((rows or len(tensors), longest), self.schema["pad"], np.int32)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place, : len(tensor)] = self.ids_of(tensor)
        return batch


def statistics_of(text: str, count: int) -> dict[str, float]:
    """Return what may drift in a text of so many tokens."""
    words = text.split()
    return {
        "tokens": float(count),
        "words": float(len(words)),
        "letters a word": float(np.mean([len(word) for word in words])),
        "capitals": sum(sign.isupper() for sign in text) / len(text),
        "digits": sum(sign.isdigit() for sign in text) / len(text),
        "not ASCII": sum(ord(sign) > 127 for sign in text) / len(text),
    }


# How an exported model of texts is fed without horngate.
READING = (
    "import numpy as np\nfrom tokenizers import Tokenizer\n\n"
    "tokenizer = Tokenizer.from_file(str(Path(__file__).parent / 'tokenizer.json'))\n\n\n"
    "def read(path):\n"
    "    return np.array(tokenizer.encode(Path(path).read_text('utf-8').strip()).ids, np.int32)\n"
)
