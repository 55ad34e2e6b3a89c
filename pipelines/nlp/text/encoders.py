"""What encodes texts while a task learns: a pretrained backbone, or a small network from a random start."""

from pathlib import Path
from typing import Any

import keras

from horngate.models.text.encoders import Marks, longest, small_lstm, small_transformer, text_backbone, text_encoder
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.parts import Fitted


def opened(card: Any) -> tuple[keras.Model, int]:
    """Return the pretrained backbone that a card names, and how many tokens it takes at most.

    Raises:
        UserError: it can't be had.
    """
    backbone = text_backbone(pretrained.found(card.backbone), card.weights)
    return backbone, longest(backbone)


def backbone_of(card: Any, fitted: Fitted) -> keras.Model:
    """Return the backbone that learns: the one that was opened for the card, or a small network from a random start."""
    backbone = fitted.model
    if backbone is None:
        size, length = fitted.lookup.vocabulary, fitted.schema["length"]
        backbone = small_lstm(size) if card.network == "lstm" else small_transformer(size, length)
    if card.backbone is None or card.weights == "none":
        progress.notice(f"no pretrained weights: {backbone.name} starts from random weights")
    return backbone


def encoder_of(card: Any, fitted: Fitted) -> keras.Model:
    """Return the model from token ids to features of a text, pretrained where wished."""
    marks = Marks(fitted.schema["pad"], fitted.schema["separator"])
    return text_encoder(backbone_of(card, fitted), marks, _pooling(card))


def _pooling(card: Any) -> str:
    """Return how tokens become a text's features: as the checkpoint's own note on it says, else their mean."""
    if card.pooling != "auto":
        return card.pooling
    note = Path(card.backbone or "") / "1_Pooling" / "config.json"
    return "first" if note.is_file() and read_json(note).get("pooling_mode_cls_token") else "mean"
