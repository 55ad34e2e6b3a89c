"""Short sounds into classes."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="speech.keywords.reader.ClipRows",
    reader="speech.keywords.reader.ClipReader",
    learner="speech.keywords.learner.KeywordLearner",
    predictor="tasks.classification.predictor.LabelPredictor",
    evaluator="speech.keywords.display.KeywordEvaluator",
    display="speech.keywords.display.KeywordDisplay",
    exporter="speech.keywords.display.KeywordExporter",
)
