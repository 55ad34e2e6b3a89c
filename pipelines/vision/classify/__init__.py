"""Pictures into classes."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="vision.classify.parts.PictureRows",
    reader="images.reader.PictureReader",
    learner="images.learner.PictureLearner",
    predictor="tasks.classification.predictor.LabelPredictor",
    evaluator="tasks.classification.evaluator.LabelEvaluator",
    display="vision.classify.parts.PictureDisplay",
    exporter="images.exporter.PictureExporter",
)
