"""How detectors of rows of a table learn: on which rows, which detectors, and whether from known anomalies too."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.models.anomaly.detectors import in_parts, instructed, joined, opinions
from horngate.models.anomaly.trees import labelled_forest
from horngate.models.columns import columns_layer
from horngate.pipelines.anomaly.table.baselines import fitted_baselines
from horngate.pipelines.anomaly.table.fitting import Examples, TableTraining
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.anomaly_detection.learner import AnomalyLearner, DetectionRows, Learnt
from horngate.pipelines.tasks.parts import LearningData


class CellLearner(AnomalyLearner):
    """Fits the detector that the card asks for, or several whose scores are averaged."""

    def learn(self, rows: DetectionRows, run: Run) -> Learnt:
        card, reader = self.card, self.task.reader
        knowing = self._knowing(rows)
        own = np.union1d(rows.train, rows.anomalies) if knowing else rows.train
        truth = np.isin(own, rows.anomalies) & knowing
        train = reader.matrix(rows.taken(own), "reading the training rows")
        usual = rows.validation if card.protocol == "contaminated" else rows.usual
        held = reader.matrix(rows.taken(usual), "reading the validation rows")
        columns = columns_layer(train.astype(np.float64), reader.sizes)
        features = in_parts(columns, train)
        examples = Examples(features, in_parts(columns, held) if len(held) else features[:0], truth, columns.sources)
        model, training = self._fitted(columns, train.shape[1], examples, run)
        learnt = int(truth.sum())
        why = "asked for" if card.detector != "auto" else f"the average of {', '.join(training.costs)}"
        why += f"; {learnt} known anomalies were learnt from" if learnt else ""
        protocol = {"learnt_anomalies": learnt}
        return Learnt(model, card.detector, why, costs=training.costs, history=training.history, protocol=protocol)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return isolation forest, ECOD, nearest neighbours and principal components on the same training rows."""
        reader, learnt = self.task.reader, data.table.filter(pa.array(self.learnt_from(data)))
        train = reader.matrix(learnt, "fitting references")
        scorers = fitted_baselines(train, reader.sizes, self.card.seed)
        rows = {split: reader.matrix(data.rows(split), f"references on {split}") for split in data.held_out}
        return {
            name: self.outcomes({split: score(own) for split, own in rows.items()}, data)
            for name, score in scorers.items()
        }

    def _knowing(self, rows: DetectionRows) -> bool:
        """Return whether known anomalies are learnt from as such.

        Raises:
            UserError: they should be, and there are none.
        """
        card = self.card
        if card.labelled and card.detector not in ("auto", "deviation"):
            raise UserError(f"--labelled is for auto and deviation; {card.detector} can't learn from known anomalies")
        wished = card.labelled or card.detector == "deviation"
        if wished and not len(rows.anomalies):
            what = "--labelled" if card.labelled else f"--detector {card.detector}"
            raise UserError(f"{what} learns from known anomalies, and no training row is one")
        return wished

    def _fitted(self, columns: Any, width: int, examples: Examples, run: Run) -> tuple[Any, TableTraining]:
        """Return the model of rows of `width` columns, and the training of its members."""
        card, truth = self.card, examples.truth
        left_out = truth & (card.protocol == "one-class") & (card.detector == "auto")
        known = truth if card.detector == "deviation" else np.zeros_like(truth)
        training = TableTraining(self.task, run, examples.of(~left_out, known))
        members = training.members()
        if card.detector != "auto" or not truth.any():
            return joined(columns, width, members), training
        seen = opinions(examples.train, members)
        return instructed(columns, width, members, labelled_forest(seen, truth, card.seed)), training
