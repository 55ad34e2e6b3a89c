"""Texts into classes."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="nlp.classify.reader.TextRows",
    reader="nlp.classify.reader.TextReader",
    learner="nlp.classify.learner.TextLearner",
    predictor="nlp.classify.reader.TextPredictor",
    evaluator="nlp.classify.display.TextEvaluator",
    display="nlp.classify.display.TextDisplay",
    exporter="nlp.classify.display.TextExporter",
)
