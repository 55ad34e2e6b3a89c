"""Medical images into findings."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="medical.diagnose.reader.ScanRows",
    reader="medical.diagnose.reader.ScanReader",
    learner="images.learner.PictureLearner",
    predictor="medical.diagnose.evaluator.FindingPredictor",
    evaluator="medical.diagnose.evaluator.ScreeningEvaluator",
    display="medical.diagnose.display.ScreeningDisplay",
    exporter="images.exporter.PictureExporter",
)
