"""How a Moonshine preset goes on learning from recordings with transcripts, or is taken as it is; resumable."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.models.speech.moonshine import Moonshine
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.pipelines.data.reading import threads
from horngate.pipelines.metrics.transcripts import Transcripts
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.ctc.rows import viewed
from horngate.pipelines.speech.transcribe.moonshine_decoder import MoonshineDecoder
from horngate.pipelines.speech.transcribe.recordings import filled, learnt_from
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.system.files import whole
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

RATE, WARMUP, DECAY = 3e-5, 0.1, 1e-2
EPOCHS, BATCH, PATIENCE = 5, 8, 2
DECODING = "token by token, the likeliest each time"


def moonshine_preset(task: Task, data: LearningData) -> Fitted:
    """Return the Moonshine model that the card names.

    Raises:
        UserError: it isn't at hand, or weights are asked for that it can't have.
    """
    card = task.card
    if card.weights not in ("imagenet", "none"):
        raise UserError(f"a preset brings its own weights: leave --weights out, or say none. Received: {card.weights}")
    model = Moonshine.of_preset(pretrained.found(card.backbone), card.weights != "none")
    decisions = MoonshineDecoder(task.fitted.schema["rate"])
    return task.fitted.having(decisions=decisions, model=model, files=("tokenizer.spm",))


class WrittenRows:
    """Recordings to learn from, with the tokens of their transcripts; all batches have one shape.

    Args:
        task: its card says how strong random views are, and its model has the tokenizer.
        table: rows in the schema of the sources.
        what: what the rows are called, when some are left out.
    """

    def __init__(self, task: Task, table: pa.Table, what: str):
        self.card, self.model, self.rate = task.card, task.fitted.model, task.fitted.schema["rate"]
        names, paths, values, targets = (table[name].to_pylist() for name in ("id", "input", "value", "target"))
        self.inputs = list(zip(names, paths, values, strict=True))
        self.tokens = [self.model.encoded(" ".join(text.split())) for text in targets]
        self.pool = ThreadPoolExecutor(threads(), "reader")
        lengths = [len(one) for one in self.pool.map(self._read, range(len(names)))]
        most = int(task.fitted.schema["window"] * self.rate)
        self.rows = np.array([row for row, length in enumerate(lengths) if 0 < length <= most], np.int64)
        if len(self.rows) < len(lengths):
            progress.notice(
                f"{len(lengths) - len(self.rows)} {what} recordings are longer than a window and are left out"
            )
        self.count = len(self.rows)
        self.samples = max((filled(lengths[row], self.rate) for row in self.rows), default=0)
        self.width = max((len(self.tokens[row]) for row in self.rows), default=2) - 1

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs of the model, the tokens that come next, and weights: 0 where a text has ended."""
        samples = np.zeros((len(rows), self.samples), np.float32)
        shape = (len(rows), self.width)
        before, after, weights = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        heard = self.pool.map(lambda row: self._heard(int(row), epoch), rows)
        for place, (row, one) in enumerate(zip(rows, heard, strict=True)):
            tokens = self.tokens[self.rows[row]]
            samples[place, : len(one)] = one
            before[place, : len(tokens) - 1], after[place, : len(tokens) - 1] = tokens[:-1], tokens[1:]
            weights[place, : len(tokens) - 1] = 1.0
        return self.model.inputs(samples, before, weights > 0), after, weights

    def _heard(self, row: int, epoch: int | None) -> np.ndarray:
        samples = self._read(int(self.rows[row]))
        if epoch is None or self.card.augment == "none":
            return samples
        return viewed(samples, self.rate, self.card.augment, (self.card.seed, epoch, row))[: self.samples]

    def _read(self, row: int) -> np.ndarray:
        return learnt_from(self.inputs[row], self.rate)


class MoonshineTraining(PhaseRunner):
    """One training of a Moonshine preset.

    Args:
        task: with its model.
        run, device: where it is kept and computed.
    """

    def __init__(self, task: Task, data: LearningData, run: Run, device: Any):
        super().__init__(task, run)
        self.model, self.device = task.fitted.model, device
        self.train, self.held = data.rows("train"), data.rows("validation")

    def learn(self) -> tuple[Fitted, dict[str, Any]]:
        """Learn by the card's method, choose, save model and tokenizer, and return what was found, and the summary."""
        with self.device.scope():
            kept, why = "untuned", "asked for"
            if self.card.method != "untuned":
                kept, why = self.finetuned(self.model.logits, self._finetune, self._judged, self.held, "untuned")
        with whole(self.run / "tokenizer.spm") as temporary:
            temporary.write_bytes(self.model.pieces())
        return self.task.fitted, self.finish(self.model.backbone, kept, why, decoding=DECODING)

    def _finetune(self) -> None:
        rows, held = WrittenRows(self.task, self.train, "training"), WrittenRows(self.task, self.held, "validation")
        if not rows.count:
            raise UserError("no training recording is left to learn from: all are longer than --window")
        epochs, size = self.card.epochs or EPOCHS, self.card.batch_size or BATCH
        plan = Plan("finetune", epochs, size, self.card.seed, PATIENCE, "val_loss" if held.count else None)
        steps = epochs * plan.steps(rows.count)
        self.model.compile(adamw(self.card.learning_rate or RATE, steps, WARMUP, DECAY))
        self.learn_phase(self.model.logits, rows, held, plan, at_least=5.0)

    def _judged(self) -> Transcripts:
        return self.task.evaluator.compared(self.task.predictor.texts(self.held), self.held["target"].to_pylist())
