"""Vision: cards of its tasks."""

from dataclasses import dataclass

from horngate.pipelines.spec.card import ClassWeighted, Data, Decision, Optimisation, Option, Pictured, Refitted, knob
from horngate.pipelines.spec.rows import RowSpec


@dataclass(frozen=True, kw_only=True)
class Classify(Decision, Pictured, Refitted, ClassWeighted, Optimisation, Data):
    """Sort pictures into classes: one label a picture, or several."""

    rows = RowSpec(
        roles={
            "input": ("input", "path", "image", "file", "filename"),
            "target": ("target", "label", "class", "labels"),
        }
    )
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
