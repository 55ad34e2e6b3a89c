"""What may be wrong with rows among which anomalies are looked for."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.bases import ListedRows


class AnomalyRows(ListedRows):
    """Listed rows whose targets, where there are any, say which are anomalies."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        targets = table["target"].to_pylist()
        try:
            alarms = Alarms.named(targets, self.card)
        except UserError as problem:
            return [Finding("error", "which_target", str(problem), len(targets))]
        truth = alarms.encode(targets)
        if not len(truth) or np.isnan(truth).all():
            return [Finding("note", "unlabelled", "no row has a target; nothing can be measured", len(targets))]
        count = int((truth == 1).sum())
        share = float(count / (~np.isnan(truth)).sum())
        names = ", ".join(alarms.anomalous[:5]) or "none"
        said = f"{count} known anomalies ({names}), {share:.2%} of the labelled rows"
        found = [Finding("note", "prevalence", said, count)]
        if share > 0.5:
            message = f"{share:.0%} of the labelled rows count as anomalies; is --positive the right one?"
            found.append(Finding("warning", "mostly_anomalies", message, count))
        return found
