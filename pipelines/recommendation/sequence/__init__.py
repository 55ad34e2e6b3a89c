"""What a user will want next."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="recommendation.retrieval.rows.RepeatedCaseRows",
    reader="recommendation.retrieval.rows.CaseReader",
    learner="recommendation.sequence.learner.SequenceLearner",
    predictor="recommendation.sequence.predictor.SequencePredictor",
    evaluator="recommendation.retrieval.evaluator.RankingEvaluator",
    display="recommendation.retrieval.display.RankingDisplay",
    exporter="recommendation.retrieval.exporter.RecommenderExporter",
)
