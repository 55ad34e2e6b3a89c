"""Anomaly detection: cards of its tasks."""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.spec.card import Data, Detection, Optimisation, Option, Pretrained, knob
from horngate.pipelines.spec.rows import RowSpec

LABELS = ("target", "label", "class", "labels", "anomaly", "is_anomaly", "outlier", "fraud")


@dataclass(frozen=True, kw_only=True)
class Table(Detection, Optimisation, Data):
    """Find the strange rows of a table of numbers and categories, with labels or without."""

    rows = RowSpec(input="row", roles={"target": LABELS}, optional=("target",), blank=("target",))
    check_knobs = (*Detection.check_knobs, "feature_column", "drop_column")
    retired = {"class_weights": "none"}
    metrics = ("auroc", "average_precision", "precision_at_n", "recall_at_fpr_01")
    recipes = {
        "tiny": {"data": "sample:breast-cancer", "detector": "pca"},
        "learnt": {"data": "sample:breast-cancer", "detector": "autoencoder"},
        "breast-cancer": {"data": "sample:breast-cancer"},
    }
    target_column: str | None = knob(
        None,
        "Column that says which rows are anomalies, empty where nobody knows; default: target, label or the like.",
    )
    feature_column: tuple[str, ...] | None = knob(None, "Column to look at; default: all that play no other role.")
    drop_column: tuple[str, ...] | None = knob(None, "Column to leave out.")
    detector: Literal["auto", "knn", "pca", "forest", "autoencoder", "vae", "adversarial", "dte", "deviation"] = knob(
        "auto", "What scores the rows; auto: the average of forest, knn and pca, weighed by the protocol."
    )
    labelled: bool = knob(
        False, "Let auto learn from the known anomalies among the training rows; deviation always does."
    )


@dataclass(frozen=True, kw_only=True)
class Image(Detection, Pretrained, Optimisation, Data):
    """Find strange pictures, and what is strange in them, having seen usual ones."""

    rows = RowSpec(
        roles={
            "input": ("input", "path", "image", "file", "filename"),
            "target": LABELS,
            "mask": ("mask", "mask_path", "ground_truth"),
        },
        optional=("target", "mask"),
        blank=("target", "mask"),
        truth=("target", "mask"),
        belonging=("masks",),
    )
    check_knobs = (*Detection.check_knobs, "masks", "mask_suffix")
    families = ("keras.applications", "ImageClassifier")
    retired = {"class_weights": "none"}
    metrics = ("auroc", "average_precision", "pixel_auroc", "aupro")
    recipes = {
        "tiny": {"data": "sample:textures", "detector": "autoencoder", "image_size": 32, "epochs": 2},
        "textures": {"data": "sample:textures", "image_size": 64},
    }
    options = {
        "evaluate": Detection.options["evaluate"],
        "predict": {
            "heatmaps": Option(str, "Folder to write each picture under its heat map to, as PNG."),
            "float_maps": Option(bool, "Write the maps themselves beside them, as TIFF of one number per pixel."),
        },
    }

    protocol: Literal["contaminated", "one-class"] = knob(
        "one-class", "Training rows: none that is a known anomaly; or all, anomalies among them, whatever their labels."
    )
    input_column: str | None = knob(None, "Column of picture paths; default: input, path, image, file or filename.")
    target_column: str | None = knob(
        None,
        "Column that says which pictures are anomalies, empty where nobody knows; default: target, label or the like.",
    )
    mask_column: str | None = knob(None, "Column of paths of masks; default: mask, mask_path or ground_truth.")
    masks: str | None = knob(
        None, "Folder of masks, named as their pictures; default: ground_truth in the data's folder."
    )
    mask_suffix: str | None = knob(
        None,
        "How masks end after the stem of their picture, such as _mask or .png; files beside pictures that do are masks.",
    )
    detector: Literal["auto", "patchcore", "padim", "autoencoder"] = knob(
        "auto", "What scores the pictures; auto: patchcore through a pretrained backbone, else an autoencoder."
    )
    image_size: int | None = knob(None, "Side of the square that the network sees, in pixels.", low=16, high=2048)
    resize: Literal["stretch", "pad"] = knob("stretch", "How a picture becomes a square; nothing of it is cut off.")
    alpha: float | None = knob(None, "Width multiplier of a MobileNet.", low=0.1, high=2.0)
    finest: Literal["8", "16"] = knob(
        "8", "Pixels between two patches: 8 sees smaller defects, 16 is steadier where usual surfaces vary."
    )
    memory: int | None = knob(
        None, "Patches that patchcore keeps; default: 1 % of them, between 1,000 and 10,000.", low=1, high=200_000
    )
    error: Literal["ssim", "squared"] = knob("ssim", "What an autoencoder is bad at: structural similarity, or values.")


@dataclass(frozen=True, kw_only=True)
class Series(Detection, Optimisation, Data):
    """Find strange stretches of time in the readings of sensors: one series or many, one column or several."""

    rows = RowSpec(
        input="window",
        roles={"time": ("time", "timestamp", "datetime", "date", "ds"), "target": LABELS},
        optional=("target",),
        blank=("target",),
    )
    check_knobs = (*Detection.check_knobs, "feature_column", "drop_column", "time_unit", "gap")
    retired = {"class_weights": "none"}
    metrics = ("vus_pr", "average_precision", "f1", "event_f1", "detection_delay", "false_alarms_per_day")
    recipes = {
        "tiny": {
            "data": "sample:made-up-pumps",
            "detector": "pca",
            "window": 24,
            "smooth": 4,
            "validation": 0.15,
            "test": 0.3,
        },
        "made-up-pumps": {"data": "sample:made-up-pumps", "window": 32, "smooth": 4, "validation": 0.15, "test": 0.3},
    }
    options = {
        "evaluate": {
            **Detection.options["evaluate"],
            "alarms_per_day": Option(float, "Use the threshold that raises so many alarms a day on validation.", 0.0),
        }
    }
    time_column: str | None = knob(
        None, "Column of times, ISO 8601 or numbers; default: time, timestamp, datetime, date or ds."
    )
    target_column: str | None = knob(
        None, "Column that says which rows are anomalies, empty where nobody knows; default: target, label or the like."
    )
    feature_column: tuple[str, ...] | None = knob(None, "Column to look at; default: all that play no other role.")
    drop_column: tuple[str, ...] | None = knob(None, "Column to leave out.")
    group_column: str | None = knob(None, "Column that names the series of a row; default: one series a file.")
    split_rule: Literal["time-cut"] = knob(
        "time-cut", "How missing splits are made: the end of each series is held out."
    )
    time_unit: Literal["seconds", "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days"] = knob(
        "seconds", "Unit of times that are numbers."
    )
    gap: float = knob(10.0, "A step of more usual steps than this begins the series anew.", low=1.0)
    window: int = knob(32, "Rows that a score looks at: the row itself and those before it.", low=2, high=4096)
    smooth: int | None = knob(None, "Rows whose errors a score averages; default: a quarter of the window.", low=1)
    detector: Literal["auto", "linear", "forecaster", "recurrent", "nearest", "pca"] = knob(
        "auto", "What scores the rows; auto: linear, nearest and pca together."
    )
    alarms_per_day: float | None = knob(
        None, "Choose the threshold that raises so many alarms a day on validation.", low=0.0
    )
    margin: float = knob(
        1.0, "Raise a threshold that is not chosen by labels by this factor, for what comes later.", low=1.0
    )
