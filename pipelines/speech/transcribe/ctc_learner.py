"""How a CTC network learns to spell recordings; resumable."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from horngate.models.speech.transcription import Transcriber, TranscriberConfig
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.ctc.decoder import FILES, CtcDecoder
from horngate.pipelines.speech.ctc.language import UnitDecoder, decoder_of, weighed
from horngate.pipelines.speech.ctc.rows import SpokenRows
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary, all_normalised
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

STRIDES = {"words": 4, "characters": 2}  # frames of 10 ms that one frame of the answer stands for
RATE, WARMUP, DECAY = 4e-3, 0.1, 1e-3
STEPS = 600  # that a training takes by default, if its epochs are between these
FEWEST, MOST = 20, 120  # epochs
BATCHES = ((200, 4), (2000, 8))  # up to so many rows, batches of so many; above, 16


def ctc_network(task: Task, data: LearningData) -> Fitted:
    """Return an untrained network that spells in the units of the training transcripts.

    Raises:
        UserError: transcripts without a word, or knobs of decoding that don't go together.
    """
    card, schema = task.card, task.fitted.schema
    texts = all_normalised(data.rows("train")["target"].to_pylist(), card.normaliser)
    vocabulary = CtcVocabulary.of(texts, card.units)
    decoder = decoder_of(card, vocabulary, texts)
    progress.notice(f"no pretrained weights: a CTC network ({card.network}) starts from random weights")
    rate, stride = schema["rate"], STRIDES[vocabulary.kind]
    config = TranscriberConfig(
        rate,
        len(vocabulary),
        stride,
        card.network,
        card.width,
        card.depth,
        masked=card.augment != "none",
        seed=card.seed,
    )
    decisions = CtcDecoder(vocabulary, decoder, stride, rate)
    return task.fitted.having(
        schema={"stride": stride}, decisions=decisions, model=Transcriber.around(config), files=FILES
    )


class CtcTraining(PhaseRunner):
    """One training of a CTC network; a phase that was finished before only loads its weights.

    Args:
        task: with its untrained network.
        run, device: where it is kept and computed.
    """

    def __init__(self, task: Task, data: LearningData, run: Run, device: Any):
        super().__init__(task, run)
        self.fitted, self.device, self.held_table = task.fitted, device, data.rows("validation")
        self.rows = SpokenRows(task, data.rows("train"), self.card.augment, "training")
        self.held = SpokenRows(task, self.held_table, "none", "validation")
        if not self.rows.count:
            raise UserError("no training recording is left to learn from; their lengths and transcripts don't fit")

    def learn(self) -> tuple[Fitted, dict[str, Any]]:
        """Learn, choose the weight of n-grams, write model and decisions, and return what was found, and the summary."""
        with self.device.scope(), self.timed("scratch"):
            self._learn()
        decoder, tried = weighed(self.fitted.decisions.decoder, self.card, self._errors())
        fitted = self._decoding(decoder)
        fitted.decisions.write(self.run.folder)
        vocabulary = fitted.decisions.vocabulary
        spelt = f"{len(vocabulary)} {vocabulary.kind} of the training transcripts, and the blank of CTC"
        protocol = ({"tried": tried} if tried else {}) | decoder.protocol() | {"units": spelt}
        why = "no pretrained weights" if self.card.method == "auto" else "asked for"
        return fitted, self.finish(fitted.model.answers, "scratch", why, **protocol)

    def _learn(self) -> None:
        plan, network = self._plan(), self.fitted.model
        steps = plan.epochs * plan.steps(self.rows.count)
        network.compile(adamw(self.card.learning_rate or RATE, steps, WARMUP, DECAY))
        self.learn_phase(network.logits, self.rows, self.held, plan, at_least=5.0)

    def _plan(self) -> Plan:
        size = self.card.batch_size or next((size for most, size in BATCHES if self.rows.count <= most), 16)
        each = -(-self.rows.count // size)
        epochs = self.card.epochs or int(np.clip(round(STEPS / each), FEWEST, MOST))
        monitor = "val_loss" if self.held.count else None
        return Plan("scratch", epochs, size, self.card.seed, max(8, epochs // 2), monitor)

    def _decoding(self, decoder: UnitDecoder) -> Fitted:
        """Return what was found, with another decoder of units."""
        return self.fitted.having(decisions=replace(self.fitted.decisions, decoder=decoder))

    def _errors(self) -> Callable[[UnitDecoder], float] | None:
        """Return the word error rate on validation rows as a function of the decoder; None without such rows."""
        if not self.fitted.decisions.decoder.language.ngrams or not self.held_table.num_rows:
            return None
        targets = self.held_table["target"].to_pylist()

        def errors(decoder: UnitDecoder) -> float:
            task = self.task.with_fitted(self._decoding(decoder))
            counts = task.evaluator.compared(task.predictor.texts(self.held_table), targets).words
            return float(counts[:, 1:].sum() / max(counts[:, :3].sum(), 1))

        return errors
