"""Medical images into masks."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="medical.segment.rows.MaskedRows",
    reader="medical.segment.reader.MaskReader",
    learner="medical.segment.learner.MaskLearner",
    predictor="medical.segment.predictor.MaskPredictor",
    evaluator="medical.segment.evaluator.MaskEvaluator",
    display="medical.segment.display.MaskDisplay",
    unexportable="a mask is put together from overlapping tiles, which an exported model alone doesn't do",
)
