"""Rows with labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding, label_findings
from horngate.pipelines.tasks.classification.labels import split_labels
from horngate.pipelines.tasks.rows import ListedRows


class LabelledRows(ListedRows):
    """Rows of the common sources, each with a label, or several. A task adds its `suffixes`."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        names = [split_labels(target, self.card.label_separator) for target in table["target"].to_pylist()]
        return label_findings(names, splits)
