"""Medical imaging: cards of its tasks. What they share is in this folder: DICOM, NIfTI and picture files become scans.

`reading.scan_of` is the one door for pixels, `series` puts DICOM files together, `door` makes rows of what `--data` names.
"""

from dataclasses import dataclass, replace
from typing import Literal

from horngate.pipelines.medical.scans.knobs import Scans
from horngate.pipelines.spec.card import (
    ClassWeighted,
    Decision,
    Optimisation,
    Option,
    Pictured,
    Pretrained,
    Refitted,
    ThroughTensorFlow,
    knob,
)


@dataclass(frozen=True, kw_only=True)
class Diagnose(Decision, Pictured, Refitted, ClassWeighted, Optimisation, Scans):
    """Sort medical images into findings: two, several, several at once, or grades in order."""

    rows = replace(
        Scans.rows,
        roles={
            "input": ("input", "path", "image", "file", "filename"),
            "target": ("target", "label", "class", "labels", "diagnosis", "finding"),
        },
    )
    check_knobs = (*Decision.check_knobs, "positive", "ordinal", "flip", "window", "slice")
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


@dataclass(frozen=True, kw_only=True)
class Segment(Pretrained, ClassWeighted, ThroughTensorFlow, Scans):
    """Find what is where in medical images: a class for each pixel of pictures and of volumes."""

    rows = replace(
        Scans.rows,
        roles={
            "input": ("input", "path", "image", "file", "filename"),
            "mask": ("mask", "mask_path", "segmentation", "label"),
        },
        truth=("mask",),
        loader="medical.segment.loader",
        beside=("mask",),
        belonging=("masks",),
    )
    mask_folders = ("masks", "mask", "labels", "label", "segmentations", "labelsTr")
    check_knobs = ("masks", "mask_suffix", "classes", "background", "flip", "window")
    families = ("keras.applications", "ImageSegmenter")
    metrics = ("dice", "iou", "hd95", "surface_dice", "volume_error", "pixel_accuracy")
    recipes = {
        "tiny": {"data": "sample:lesions", "image_size": 32, "width": 4, "epochs": 2, "patches": 48, "flip": "both"},
        "lesions": {"data": "sample:lesions", "epochs": 20, "augment": "light", "flip": "both"},
        "thorough": {"epochs": 80, "augment": "elastic", "width": 32},
    }
    options = {
        "evaluate": {
            "tta": Option(bool, "Answer by the mean over mirrored and turned tiles, as --tta of train."),
            "tolerance": Option(float, "Count borders as equal so near, for surface_dice; mm, or pixels.", 0.0),
        },
        "predict": {
            "tta": Option(bool, "Answer by the mean over mirrored and turned tiles, as --tta of train."),
            "masks_to": Option(str, "Folder to write masks to: PNG of pictures, NIfTI of volumes."),
            "wide": Option(bool, "Write one column area_CLASS per class instead of the list `area`."),
        },
    }

    mask_column: str | None = knob(None, "Column of mask paths; default: mask, mask_path, segmentation or label.")
    masks: str | None = knob(
        None, "Folder of masks, named as their pictures; default: masks, labels or the like in the data's folder."
    )
    mask_suffix: str | None = knob(
        None,
        "How masks end after the stem of their picture, such as _mask or .png; files beside pictures that do are masks.",
    )
    classes: tuple[str, ...] | None = knob(
        None, "A class as VALUE=NAME, such as 1=liver; repeat it for all. Default: all values that masks hold."
    )
    background: str | None = knob(
        None, "Name or value of the class that no measure counts; default: the one with most pixels."
    )
    method: Literal["auto", "probe", "finetune", "scratch"] = knob(
        "auto", "How to learn; auto trains the decoder, then all layers, and keeps the cheaper that is not worse."
    )
    image_size: int | None = knob(
        None,
        "Side of the tiles that the network sees, in pixels, a multiple of 32; default: up to 256.",
        low=32,
        high=2048,
    )
    width: int = knob(16, "Channels of a U-Net from a random start, at its finest scale.", low=2, high=256)
    alpha: float | None = knob(None, "Width multiplier of a MobileNet.", low=0.1, high=2.0)
    patches: int | None = knob(
        None, "Random patches that an epoch learns from; default: as many as cover the training pictures.", low=1
    )
    augment: Literal["none", "light", "elastic"] = knob(
        "light",
        "Random views while learning, of picture and mask together: recoloured, and half of them turned and stretched; "
        "elastic: bent too, and half of all blurred.",
    )
    flip: Literal["none", "horizontal", "vertical", "both"] = knob("none", "Random mirror images while learning.")
    turn: bool = knob(False, "Turn by quarters at random while learning.")
    tta: bool = knob(
        False,
        "Answer by the mean over the mirror images and turns that --flip and --turn name (test-time augmentation); up to "
        "eight times slower.",
    )
    dice_weight: float = knob(
        1.0,
        "Weight of the Dice loss beside the cross-entropy: 1 finds small classes, 0 makes the most pixels right.",
        low=0.0,
        high=100.0,
    )
    tolerance: float = knob(1.0, "Borders so near count as equal, for surface_dice; mm, or pixels.", low=0.0)
