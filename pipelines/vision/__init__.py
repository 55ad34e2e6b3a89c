"""Vision: cards of its tasks."""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.card import Data, Decision, Optimisation, Option, Transfer, knob


@dataclass(frozen=True, kw_only=True)
class Classify(Decision, Transfer, Optimisation, Data):
    """Sort pictures into classes: one label a picture, or several."""

    roles = {
        "input": ("input", "path", "image", "file", "filename"),
        "target": ("target", "label", "class", "labels"),
    }
    families = ("keras.applications", "ImageClassifier")
    metrics = ("accuracy", "macro_f1", "log_loss", "ece")
    recipes = {
        "tiny": {"data": "sample:digits", "image_size": 16, "epochs": 1},
        "digits": {"data": "sample:digits", "image_size": 32, "epochs": 12, "augment": "light"},
        "quick": {"method": "probe"},
        "thorough": {"method": "finetune", "augment": "light", "epochs": 15},
    }

    options = {
        "evaluate": Decision.options["evaluate"]
        | {"grad_cam": Option(int, "Draw Grad-CAM pictures of so many of the most confident mistakes.", 1, 1000)},
        "predict": Decision.options["predict"],
    }

    input_column: str | None = knob(None, "Column of picture paths; default: input, path, image, file or filename.")
    target_column: str | None = knob(None, "Column of labels; default: target, label, class or labels.")
    image_size: int | None = knob(None, "Side of the square that the network sees, in pixels.", low=8, high=2048)
    resize: Literal["stretch", "crop", "pad"] = knob("stretch", "How a picture becomes a square.")
    alpha: float | None = knob(None, "Width multiplier of a MobileNet.", low=0.1, high=2.0)
    augment: Literal["none", "light", "strong"] = knob("none", "Random crops and colour changes while learning.")
    flip: Literal["none", "horizontal", "vertical", "both"] = knob("none", "Random mirror images while learning.")
    views: int = knob(1, "Augmented views of each training picture that a probe sees.", low=1, high=64)
