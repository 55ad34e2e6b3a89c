"""Anomaly detection: cards of its tasks."""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.card import Data, Detection, Optimisation, knob

LABELS = ("target", "label", "class", "labels", "anomaly", "is_anomaly", "outlier", "fraud")


@dataclass(frozen=True, kw_only=True)
class Table(Detection, Optimisation, Data):
    """Find the strange rows of a table of numbers and categories, with labels or without."""

    tabular = True
    roles = {"target": LABELS}
    optional = ("target",)
    blank = ("target",)
    looking = (*Detection.looking, "feature_column", "drop_column")
    metrics = ("auroc", "average_precision", "precision_at_n", "recall_at_fpr_01")
    recipes = {
        "tiny": {"data": "sample:breast-cancer", "detector": "pca"},
        "breast-cancer": {"data": "sample:breast-cancer"},
    }
    target_column: str | None = knob(
        None,
        "Column that says which rows are anomalies, empty where nobody knows; default: target, label or the like.",
    )
    feature_column: tuple[str, ...] | None = knob(None, "Column to look at; default: all that play no other role.")
    drop_column: tuple[str, ...] | None = knob(None, "Column to leave out.")
    detector: Literal["pca", "knn"] = knob("pca", "What scores the rows.")
