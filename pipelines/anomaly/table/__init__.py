"""Strange rows of a table."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="anomaly.table.reader.CellRows",
    reader="anomaly.table.reader.CellReader",
    learner="anomaly.table.learner.CellLearner",
    predictor="anomaly.table.reader.CellPredictor",
    evaluator="tasks.anomaly_detection.evaluator.AnomalyEvaluator",
    display="anomaly.table.display.CellDisplay",
    exporter="anomaly.table.display.CellExporter",
)
