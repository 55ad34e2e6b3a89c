"""Strange pictures, and what is strange in them."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="anomaly.image.reader.PictureRows",
    reader="anomaly.image.reader.PictureReader",
    learner="anomaly.image.learner.PictureLearner",
    predictor="anomaly.image.predictor.PicturePredictor",
    evaluator="anomaly.image.evaluator.PictureEvaluator",
    display="anomaly.image.display.PictureDisplay",
    exporter="anomaly.image.display.PictureExporter",
)
