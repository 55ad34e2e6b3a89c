"""Entities and other labelled spans in texts."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="nlp.tag.reader.SpanRows",
    reader="nlp.tag.reader.WindowReader",
    learner="nlp.tag.learner.TagLearner",
    predictor="nlp.tag.predictor.SpanPredictor",
    evaluator="nlp.tag.evaluator.SpanEvaluator",
    display="nlp.tag.display.SpanDisplay",
    exporter="nlp.tag.display.TagExporter",
)
