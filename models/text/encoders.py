"""Encoders of text: token ids → features, from KerasHub backbones or from a random start."""

from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers, ops

from horngate.models.backbones.pictures import BackboneError, no_preset
from horngate.models.text.pooling import POOLINGS, TokenInputs
from horngate.models.trust import Untrusted, check_preset


@dataclass(frozen=True)
class Marks:
    """Token ids with a meaning of their own: what fills batches up, and what parts two texts."""

    pad: int
    separator: int


def text_backbone(name: str, weights: str) -> keras.Model:
    """Return a KerasHub text backbone.

    Args:
        name: a preset's name or handle, its folder, or a local folder in Hugging Face layout.
        weights: `imagenet` (the card's word for its own pretrained weights) or `none`.

    Raises:
        BackboneError: not at hand, damaged, not for text, or a folder whose classes aren't trusted.
    """
    import keras_hub

    try:
        if Path(name).is_dir():
            check_preset(Path(name))
        backbone = keras_hub.models.Backbone.from_preset(name, load_weights=weights != "none")
    except Untrusted as problem:
        raise BackboneError(str(problem)) from None
    except Exception as problem:  # KerasHub raises whatever its transports raise
        raise BackboneError(no_preset(name, problem)) from None
    if not isinstance(backbone.input, dict) or "token_ids" not in backbone.input:
        raise BackboneError(
            f"{name} is no backbone for text; choose one made for texts, such as BERT, RoBERTa or DeBERTa"
        )
    return backbone


def longest(backbone: keras.Model) -> int:
    """Return how many tokens a backbone takes at most."""
    config = backbone.get_config()
    limit = config.get("max_sequence_length") or config.get("max_position_embeddings") or 512
    return int(limit)


def text_encoder(backbone: keras.Model, marks: Marks, pooling: str) -> keras.Model:
    """Return a model named `encoder` from token ids int32 `[n, length]` to features float32 `[n, d]`."""
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    sequence, mask = _encoded(backbone, marks, ids)
    pooled = POOLINGS[pooling](name="pool", dtype="float32")(sequence, mask)
    return keras.Model(ids, pooled, name="encoder")


def token_encoder(backbone: keras.Model, marks: Marks) -> keras.Model:
    """Return a model named `encoder` from numbers of tokens int32 `[n, tokens]` to features float32 `[n, tokens, d]`."""
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    sequence, _ = _encoded(backbone, marks, ids)
    plain = layers.Activation("linear", dtype="float32", name="features")
    return keras.Model(ids, plain(sequence), name="encoder")


def _encoded(backbone: keras.Model, marks: Marks, ids: keras.KerasTensor) -> tuple:
    """Return a backbone's vectors of tokens `[n, length, d]`, and the mask `[n, length]` of those that aren't padding."""
    names = [name for name in ("token_ids", "padding_mask", "segment_ids") if name in backbone.input]
    inputs = TokenInputs(marks.pad, marks.separator, names, name="inputs")(ids)
    outputs = backbone(inputs)
    return outputs["sequence_output"] if isinstance(outputs, dict) else outputs, inputs["padding_mask"]


def small_transformer(vocabulary: int, length: int, width: int = 128, depth: int = 2) -> keras.Model:
    """Return a small transformer encoder (Vaswani et al. 2017, arXiv 1706.03762) with random weights.

    Norms stand before the blocks, without which its first steps can stall (Xiong et al. 2020, arXiv 2002.04745).
    """
    import keras_hub

    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    embedding = keras_hub.layers.TokenAndPositionEmbedding(vocabulary, length, width, name="embedding")
    sequence = embedding(inputs["token_ids"])
    for number in range(depth):
        block = keras_hub.layers.TransformerEncoder(
            4 * width, 4, dropout=0.1, normalize_first=True, name=f"transformer_{number}"
        )
        sequence = block(sequence, padding_mask=inputs["padding_mask"])
    return keras.Model(inputs, sequence, name="small_transformer")


def small_lstm(vocabulary: int, width: int = 128) -> keras.Model:
    """Return a bidirectional LSTM (Schuster & Paliwal 1997; Hochreiter & Schmidhuber 1997) with random weights."""
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    embedded = layers.Embedding(vocabulary, width, name="embedding")(inputs["token_ids"])
    recurrent = layers.Bidirectional(layers.LSTM(width // 2, return_sequences=True), name="lstm")
    return keras.Model(inputs, recurrent(embedded, mask=ops.cast(inputs["padding_mask"], "bool")), name="small_lstm")
