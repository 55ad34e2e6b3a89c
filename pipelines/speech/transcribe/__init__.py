"""Recordings into what is said in them."""

from horngate.pipelines.spec.parts import Parts

PARTS = Parts(
    rows="speech.transcribe.rows.TranscriptRows",
    reader="speech.transcribe.reader.RecordingReader",
    learner="speech.transcribe.learner.TranscriptLearner",
    predictor="speech.transcribe.predictor.TranscriptPredictor",
    evaluator="speech.transcribe.evaluator.TranscriptEvaluator",
    display="speech.transcribe.display.TranscriptDisplay",
    exporter="speech.transcribe.exporter.TranscriptExporter",
)
