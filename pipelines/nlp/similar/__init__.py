"""Texts into embeddings, and finding them again."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="nlp.similar.reader.PairRows",
    reader="nlp.similar.reader.PairReader",
    learner="nlp.similar.learner.PairLearner",
    predictor="nlp.similar.predictor.PairPredictor",
    evaluator="nlp.similar.evaluator.PairEvaluator",
    display="nlp.similar.display.PairDisplay",
    exporter="nlp.similar.display.EmbedderExporter",
)
