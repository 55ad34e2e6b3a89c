"""What the example of an exported tagger does by itself: numbers of tokens from a text, labels of pieces of it."""

from inspect import getsource

from horngate.pipelines.nlp.tag.alignment import SHAPES, shape_of, words_of_tokens
from horngate.pipelines.nlp.tag.spans import WORD

READING = """import re
from bisect import bisect_right

import numpy as np
from tokenizers import Encoding, Tokenizer

SHAPES = {shapes}
WORD = re.compile({pattern!a})
tokenizer = Tokenizer.from_file(str(Path(__file__).parent / "tokenizer.json"))


{shape_of}

{words_of_tokens}

def encoded(path):  # of a text that is longer than the model takes, the first window
    text = Path(path).read_text("utf-8")
    return text, tokenizer.encode(text)


def read(path):
    text, window = encoded(path)
    words = [found.span() for found in WORD.finditer(text)]
    shapes = [shape_of(text[slice(*words[word])]) if word >= 0 else 0 for word in words_of_tokens(window, words)]
    return np.array(window.ids, np.int32) + {vocabulary} * np.array(shapes, np.int32)
"""
SAYING = """def answer(path, outputs):  # the first piece of a word is the one that counts
    text, window = encoded(path)
    labels = [names[place] for place in outputs.argmax(-1)]
    pieces = [text[start:end] for start, end in window.offsets]
    return [f"{piece}/{label}" for piece, label in zip(pieces, labels) if piece and label != names[0]]
"""


def reading(vocabulary: int) -> str:
    """Return the source of `read(path)` of a model whose tokens have numbers below `vocabulary`."""
    parts = {"shape_of": getsource(shape_of), "words_of_tokens": getsource(words_of_tokens)}
    return READING.format(shapes=SHAPES, pattern=WORD.pattern, vocabulary=vocabulary, **parts)
