"""Medical imaging: cards of its tasks. What they share is in this folder: DICOM, NIfTI and picture files become scans.

`reading.scan_of` is the one door for pixels, `series` puts DICOM files together, `door` makes rows of what `--data` names.
"""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.card import Decision, Optimisation, Option, Pictured, Transfer, knob
from horngate.pipelines.medical.knobs import Scans


@dataclass(frozen=True, kw_only=True)
class Diagnose(Decision, Pictured, Transfer, Optimisation, Scans):
    """Sort medical images into findings: two, several, several at once, or grades in order."""

    roles = {
        "input": ("input", "path", "image", "file", "filename"),
        "target": ("target", "label", "class", "labels", "diagnosis", "finding"),
    }
    looking = (*Decision.looking, "positive", "ordinal", "flip", "window", "slice")
    metrics = (
        "auroc",
        "average_precision",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "brier",
        "accuracy",
        "macro_f1",
        "log_loss",
        "ece",
        "quadratic_kappa",
    )
    recipes = {
        "tiny": {"data": "sample:lesions", "image_size": 32, "epochs": 2, "batch_size": 8},
        "lesions": {"data": "sample:lesions", "image_size": 64, "epochs": 12, "batch_size": 8, "flip": "both"},
        "quick": {"method": "probe"},
        "thorough": {"method": "finetune", "augment": "light", "epochs": 15},
    }
    options = {
        "evaluate": Decision.options["evaluate"]
        | {
            "prevalence": Option(float, "Also say PPV and NPV where this share of people has it.", 0.0, 1.0),
            "grad_cam": Option(
                int, "Draw Grad-CAM of so many of the surest mistakes, and of positives near the threshold.", 1, 1000
            ),
        },
        "predict": Decision.options["predict"],
    }

    target_column: str | None = knob(
        None, "Column of labels; default: target, label, class, labels, diagnosis or finding."
    )
    ordinal: tuple[str, ...] | None = knob(None, "One grade; repeat it for all grades, from the least to the gravest.")
    slice: Literal["only", "middle", "first"] = knob(
        "only", "Of files with several slices, the one to look at; only: such files are refused."
    )
