"""Strange stretches of series."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="anomaly.series.rows.StepRows",
    reader="anomaly.series.reader.StepReader",
    learner="anomaly.series.learner.StepLearner",
    predictor="anomaly.series.predictor.StepPredictor",
    evaluator="anomaly.series.evaluator.StepEvaluator",
    display="anomaly.series.display.StepDisplay",
    exporter="anomaly.series.display.StepExporter",
)
