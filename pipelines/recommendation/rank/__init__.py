"""Scores of rows of users, items and whatever else is known: clicks, or ratings."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="recommendation.rank.rows.RankRows",
    reader="recommendation.rank.reader.RankReader",
    learner="recommendation.rank.learner.RankLearner",
    predictor="recommendation.rank.predictor.RankPredictor",
    evaluator="recommendation.rank.evaluator.RankEvaluator",
    display="recommendation.rank.display.RankDisplay",
    exporter="recommendation.rank.predictor.RankExporter",
)
