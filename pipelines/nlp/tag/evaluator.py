"""How good spans are."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import entities
from horngate.pipelines.metrics.entities import Entities
from horngate.pipelines.nlp.tag.spans import Span, labels_of, spans_of
from horngate.pipelines.nlp.tag.tag_errors import mistakes_of
from horngate.pipelines.tasks.bases import TableEvaluator


def entities_of(said: list[list[Span]], targets: list[str]) -> Entities:
    """Return the outcome of spans by row."""
    return Entities.counted(*([[span.bare for span in row] for row in side] for side in (said, spans_of(targets))))


class SpanEvaluator(TableEvaluator):
    """Measures spans: one counts as found where start, end and label are all right."""

    def outcome(self, answers: pa.Table) -> Entities:
        said = [[Span(**entry) for entry in row] for row in answers["spans"].to_pylist()]
        return entities_of(said, answers["target"].to_pylist())

    def trivial(self, outcome: Entities) -> Entities:
        """Answer no entity at all."""
        return outcome.silent()

    def metrics(self, outcome: Entities) -> dict[str, tuple[Any, Any]]:
        return entities.measures(self.card.metrics, outcome)

    def details(self, answers: pa.Table, outcome: Entities) -> dict[str, Any]:
        table = entities.per_type(outcome)
        known = [row["f1"] for row in table if row["rows"]]
        unknown = sorted({row["label"] for row in table if row["rows"]} - set(self.fitted.decisions.types))
        details = {"labels": [row["label"] for row in table], "per_class": table}
        details["macro_f1"] = float(np.mean(known)) if known else None
        if unknown:
            details["unlearnt_labels"] = unknown
        said = [[Span(**entry) for entry in row] for row in answers["spans"].to_pylist()]
        details["mistakes"] = mistakes_of(answers["id"].to_pylist(), said, spans_of(answers["target"].to_pylist()))
        return details | self.task.reader.lengths.told(self.fitted.schema["length"], cut=False)

    def labels_in(self, target: str | None) -> list[str]:
        return labels_of(target)

    def correct(self, answers: pa.Table) -> np.ndarray:
        said, true = answers["spans"].to_pylist(), spans_of(answers["target"].to_pylist())
        pairs = zip(said, true, strict=True)
        return np.array([{Span(**part).bare for part in row} == {span.bare for span in spans} for row, spans in pairs])
