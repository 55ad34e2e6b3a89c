"""What a user should see: items retrieved from all there are."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="recommendation.retrieval.rows.CaseRows",
    reader="recommendation.retrieval.rows.CaseReader",
    learner="recommendation.retrieve.learner.RetrieveLearner",
    predictor="recommendation.retrieve.predictor.RetrievePredictor",
    evaluator="recommendation.retrieval.evaluator.RankingEvaluator",
    display="recommendation.retrieval.display.RankingDisplay",
    exporter="recommendation.retrieval.exporter.RecommenderExporter",
)
