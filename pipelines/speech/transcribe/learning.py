"""How a CTC network learns to spell recordings; resumable."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.models.training.learning import Plan, learn
from horngate.models.training.optimizer import adamw
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.ctc.language import Decoder, weighed
from horngate.pipelines.speech.ctc.rows import SpokenRows
from horngate.pipelines.training.phases import Training, told

if TYPE_CHECKING:
    from horngate.pipelines.speech.transcribe.task import Pipeline

HISTORY = ["phase", "epoch", "loss", "val_loss", "learning_rate"]
RATE, WARMUP, DECAY = 4e-3, 0.1, 1e-3
STEPS = 600  # that a training takes by default, if its epochs are between these
FEWEST, MOST = 20, 120  # epochs
BATCHES = ((200, 4), (2000, 8))  # up to so many rows, batches of so many; above, 16


class Learning(Training):
    """One training of a CTC network; a phase that was finished before only loads its weights.

    Args:
        task: the pipeline, with its untrained network.
        table: all rows, with their splits beside.
        run, device: where it is kept and computed.
    """

    columns = HISTORY

    def __init__(self, task: "Pipeline", table: pa.Table, splits: np.ndarray, run: Run, device: Any):
        super().__init__(task, run)
        self.network, self.device = task.network, device
        self.held_table = table.take(pa.array(np.flatnonzero(splits == "validation")))
        train = table.take(pa.array(np.flatnonzero(splits == "train")))
        self.rows = SpokenRows(task, train, self.card.augment, "training")
        self.held = SpokenRows(task, self.held_table, "none", "validation")
        if not self.rows.count:
            raise UserError("no training recording is left to learn from; their lengths and transcripts don't fit")

    def climb(self) -> dict[str, Any]:
        """Learn, choose the weight of n-grams, save the model, and return the summary."""
        with self.device.scope():
            self.timed("scratch", self._learn)
        self.task.decoder, tried = weighed(self.task.decoder, self.card, self._errors())
        why = "no pretrained weights" if self.card.method == "auto" else "asked for"
        return self.finish(self.network.answers, "scratch", why, **({"tried": tried} if tried else {}))

    def _learn(self) -> None:
        plan = self._plan()
        steps = plan.epochs * plan.steps(self.rows.count)
        self.network.compile(adamw(self.card.learning_rate or RATE, steps, WARMUP, DECAY))
        with told(self) as keeper:
            self.history += learn(self.network.logits, self.rows, self.held, plan, keeper)

    def _plan(self) -> Plan:
        size = self.card.batch_size or next((size for most, size in BATCHES if self.rows.count <= most), 16)
        each = -(-self.rows.count // size)
        epochs = self.card.epochs or int(np.clip(round(STEPS / each), FEWEST, MOST))
        monitor = "val_loss" if self.held.count else None
        return Plan("scratch", epochs, size, self.card.seed, max(8, epochs // 2), monitor)

    def _errors(self) -> Callable[[Decoder], float] | None:
        """Return the word error rate on validation rows as a function of the decoder; None without such rows."""
        if not self.task.decoder.language.ngrams or not self.held_table.num_rows:
            return None
        targets = self.held_table["target"].to_pylist()

        def errors(decoder: Decoder) -> float:
            self.task.decoder = decoder
            said = [text or "" for text in self.task.transcripts(self.held_table)]
            counts = self.task.outcome_of(said, targets).words
            return float(counts[:, 1:].sum() / max(counts[:, :3].sum(), 1))

        return errors
