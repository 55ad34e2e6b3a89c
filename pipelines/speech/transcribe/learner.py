"""How transcribing is learnt, and what it is held against: a rival that hears nothing."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.transcripts import Transcripts, compared
from horngate.pipelines.runs.run import Run
from horngate.pipelines.speech.ctc.vocabulary import SAID, all_normalised
from horngate.pipelines.speech.transcribe.ctc_learner import CtcTraining, ctc_network
from horngate.pipelines.speech.transcribe.moonshine_learner import MoonshineTraining, moonshine_preset
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task

MOST = 200  # training transcripts that are looked through, and held against each other


class TranscriptLearner:
    """Trains a CTC network from a random start, or goes on with a Moonshine preset."""

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        from_preset = self.task.fitted.schema["model"] == "moonshine"
        start, training = (moonshine_preset, MoonshineTraining) if from_preset else (ctc_network, CtcTraining)
        with device.scope():
            begun = self.task.with_fitted(start(self.task, data))
        fitted, summary = training(begun, data, run, device).learn()
        summary["protocol"] |= {
            "normaliser": f"{self.card.normaliser}: {SAID[self.card.normaliser]}",
            "window": f"recordings longer than {self.card.window:g} seconds are cut at silences",
        }
        return fitted, summary | {"parameters": int(begun.predictor.core.count_params())}

    def baselines(self, data: LearningData) -> dict[str, dict[str, Transcripts]]:
        """Always say the training transcript nearest to all others."""
        targets = data.table["target"].to_pylist()
        usual = _usual(all_normalised(targets, self.card.normaliser), data.places("train"), self.card.seed)
        own = {split: [targets[row] for row in places] for split, places in data.held_out.items()}
        outcome = self.task.evaluator.compared
        return {"usual_transcript": {split: outcome([usual] * len(texts), texts) for split, texts in own.items()}}


def _usual(texts: list[str], train: np.ndarray, seed: int) -> str:
    """Return the training transcript nearest to all others.

    Args:
        texts: normalised transcripts of all rows.
    """
    some = [texts[row] for row in np.random.default_rng(seed).permutation(train)[:MOST]]
    candidates = list(dict.fromkeys(some))
    errors = [compared(some, [text] * len(some), [0.0] * len(some)).words[:, 1:].sum() for text in candidates]
    return candidates[int(np.argmin(errors))]
