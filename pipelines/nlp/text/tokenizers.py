"""Tokenizers: texts into token ids, in the `tokenizer.json` that a run and a bundle carry; imports no TensorFlow."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json

PADS, SEPARATORS = ("[PAD]", "<pad>"), ("[SEP]", "</s>")
VOCABULARY = 8000  # of a tokenizer that is learnt from the training rows
ALPHABET = 1000  # letters that it knows at most


class Tokens:
    """A tokenizer with a length that it keeps to.

    Args:
        overlap: tokens that two windows of a longer text share.

    Attributes:
        pad, separator: ids of the token that fills batches up and of the one that ends a text.
    """

    def __init__(self, tokenizer: Tokenizer, length: int, overlap: int = 0):
        tokenizer.no_padding()
        tokenizer.enable_truncation(length, stride=overlap, strategy="longest_first")
        self.tokenizer, self.length = tokenizer, length
        self.pad, self.separator = (_id_of(tokenizer, names) for names in (PADS, SEPARATORS))

    def ids(self, text: str, pair: str | None = None) -> tuple[np.ndarray, int]:
        """Return token ids int32 `[n]`, `n` at most `length`, and how many tokens were cut off."""
        encoding = self.tokenizer.encode(text, pair)
        cut = sum(len(rest.ids) - sum(rest.special_tokens_mask) for rest in encoding.overflowing)
        return np.array(encoding.ids, np.int32), cut

    def windows(self, text: str) -> list[Encoding]:
        """Return the windows of a text, each of at most `length` tokens."""
        encoding = self.tokenizer.encode(text)
        return [encoding, *encoding.overflowing]

    def write(self, path: Path) -> None:
        """Write `tokenizer.json`."""
        path.write_text(self.tokenizer.to_str(), "utf-8")

    @property
    def vocabulary(self) -> int:
        """The first number that is no id any more."""
        return max(self.tokenizer.get_vocab().values()) + 1


def opened(path: Path, length: int, overlap: int = 0) -> Tokens:
    """Return the tokenizer of a `tokenizer.json`.

    Raises:
        UserError: missing or damaged.
    """
    return Tokens(_from_file(path), length, overlap)


def _from_file(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as problem:  # the library raises bare exceptions
        raise UserError(f"{path} is no tokenizer, or damaged ({' '.join(str(problem).split())[:100]})") from None


def of_backbone(name: str) -> Tokenizer:
    """Return the tokenizer that belongs to a preset or a folder.

    Raises:
        UserError: of a kind that isn't known here, or damaged.
    """
    kept = Path(name) / "tokenizer.json"
    if kept.is_file() and "type" in read_json(kept).get("model", {}):
        return _from_file(kept)
    import keras_hub

    try:
        made = keras_hub.tokenizers.Tokenizer.from_preset(name)
    except Exception as problem:  # KerasHub raises whatever its files make it raise
        why = " ".join(str(problem).split())[:160]
        raise UserError(f"{name} has no tokenizer that can be opened: {why}") from None
    if hasattr(made, "merges"):
        return _byte_pairs(made)
    if hasattr(made, "vocabulary"):
        return _word_pieces(list(made.vocabulary), made.lowercase)
    if hasattr(made, "proto"):
        return _sentence_pieces(made)
    raise UserError(
        f"{name} has a tokenizer of an unknown kind, {type(made).__name__}; choose a BERT, RoBERTa or DeBERTa"
    )


def learnt(texts: Iterable[str]) -> Tokenizer:
    """Return a WordPiece tokenizer whose vocabulary is learnt from texts (Schuster & Nakajima 2012).

    The same texts give the same vocabulary: the trainer numbers letters within words in an order that differs from call to
    call, by which it breaks ties, so they are given to it in an order of their own.
    """
    texts = list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = Counter(sign for text in texts for sign in tokenizer.normalizer.normalize_str(text) if not sign.isspace())
    within = [f"##{letter}" for letter, _ in sorted(letters.items(), key=lambda pair: (-pair[1], pair[0]))[:ALPHABET]]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *within]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=special, show_progress=False, limit_alphabet=ALPHABET
    )
    tokenizer.train_from_iterator(texts, trainer)
    places = tokenizer.get_vocab()
    return _word_pieces(sorted(places, key=places.get), lowercase=True)


def _word_pieces(vocabulary: list[str], lowercase: bool) -> Tokenizer:
    places = {token: place for place, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(places, unk_token="[UNK]", max_input_chars_per_word=200))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([name for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in places])
    return _framed(tokenizer, "[CLS]", "[SEP]")


def _byte_pairs(made: Any) -> Tokenizer:
    merges = [tuple(merge.split(" ", 1)) for merge in made.merges]
    tokenizer = Tokenizer(models.BPE(dict(made.vocabulary), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>"])
    ends = [(name, tokenizer.token_to_id(name)) for name in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=False)
    return tokenizer


def _sentence_pieces(made: Any) -> Tokenizer:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(made.proto)
    if proto.trainer_spec.model_type != 1:
        raise UserError("its SentencePiece model is no unigram model; choose a BERT, RoBERTa or DeBERTa")
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    known = {piece for piece, _ in pieces}
    pieces += [(name, 0.0) for name in ("[MASK]",) if name not in known]
    tokenizer = Tokenizer(models.Unigram(pieces, proto.trainer_spec.unk_id, proto.trainer_spec.byte_fallback))
    steps = [normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)]
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    first, last = ("[CLS]", "[SEP]") if "[CLS]" in known else ("<s>", "</s>")
    tokenizer.add_special_tokens([name for name in (first, last, "[PAD]", "<pad>") if name in known])
    return _framed(tokenizer, first, last)


def _framed(tokenizer: Tokenizer, first: str, last: str) -> Tokenizer:
    """Return the tokenizer with marks around one text, and around each of two."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    return tokenizer


def _id_of(tokenizer: Tokenizer, names: tuple[str, ...]) -> int:
    for name in names:
        if (found := tokenizer.token_to_id(name)) is not None:
            return found
    raise UserError(f"the tokenizer has none of the tokens {', '.join(names)}; choose a BERT, RoBERTa or DeBERTa")
