"""Scans with findings: how they are read, and what may be wrong with them."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.images.display import as_picture
from horngate.pipelines.images.reader import Change, small_size
from horngate.pipelines.images.statistics import looks_of
from horngate.pipelines.medical.diagnose.preprocessing import Facts, ScanPreprocessing
from horngate.pipelines.medical.scans import checks
from horngate.pipelines.medical.scans.reading import SUFFIXES, scan_of
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.classification.labels import split_labels
from horngate.pipelines.tasks.classification.predictor import LabelledRows
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

NAMES = ("window", "slice", "resize", "size", "channels", "dtype")  # of the schema, that preprocessing goes by


class ScanRows(LabelledRows):
    """Scans with findings."""

    suffixes = (*SUFFIXES, "")

    def findings(self, table: pa.Table, facts: list[Facts], splits: np.ndarray | None) -> list[Finding]:
        targets = (split_labels(target, self.card.label_separator) for target in table["target"].to_pylist())
        labels = {name for names in targets for name in names}
        positive = [] if self.card.label_separator else checks.positive_findings(labels, self.card.positive)
        found = super().findings(table, facts, splits) + checks.patient_findings(table) + positive
        return found + checks.flip_findings(labels, self.card.flip) + checks.image_findings(table, facts)


class ScanReader(TensorReader):
    """Reads DICOM, NIfTI and picture files as squares of uint8 or float32 greys, or of colours."""

    def __init__(self, task: Task):
        super().__init__(task)
        window_named(self.card.window)  # says what is wrong with it before anything is read

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return ScanPreprocessing(self.card.window, self.card.slice, self.card.resize).inspect(data)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        colour, deep = any(fact.colour for fact in facts), any(fact.deep for fact in facts)
        schema = {
            "kind": "scan",
            "window": self.card.window,
            "slice": self.card.slice,
            "resize": self.card.resize,
            "channels": 3 if colour else 1,
            "dtype": "float32" if deep else "uint8",
            "small_size": small_size([min(fact.width, fact.height) for fact in facts]),
        }
        return Fitted(schema)

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        preprocessing = ScanPreprocessing(**{name: self.schema[name] for name in NAMES})
        return preprocessing.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        scan = scan_of(data)
        shape = {"width": float(scan.width), "height": float(scan.height), "aspect": scan.width / scan.height}
        return shape | looks_of(as_picture(tensor))
