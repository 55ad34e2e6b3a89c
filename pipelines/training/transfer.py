"""Transfer learning: which rungs of the ladder are tried, on which rows, and which one is kept."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pyarrow as pa

from horngate.models.text.embedding import PairConfig, embedder, learn_pairs
from horngate.models.training import checkpoint, transfer
from horngate.models.training.learning import ArrayRows
from horngate.models.training.lora import merged
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import Runtime
from horngate.pipelines.runtimes.race import RACED, Track, sampled
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import calibration
from horngate.pipelines.system import cache, progress
from horngate.pipelines.system.device import Device
from horngate.pipelines.system.files import digest
from horngate.pipelines.tasks.classification.decisions import decided
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.contrastive import LabelPairs
from horngate.pipelines.training.phases import PhaseRunner
from horngate.pipelines.training.rows import ReadRows

if TYPE_CHECKING:
    from horngate.pipelines.tasks.classification.learner import LabelLearner


HISTORY = ["phase", "epoch", "loss", "accuracy", "cross_entropy"]
HISTORY += ["val_loss", "val_accuracy", "val_cross_entropy", "learning_rate"]


class TransferLearning(PhaseRunner):
    """One training on the ladder, resumable: finished phases and complete features are found again, not repeated.

    It is that of classifiers of rows; a task whose rows hold several things to classify says in a subclass what these are.

    Args:
        learner: how many epochs and views are taken where the card doesn't say.
        task: with schema, decisions so far, and the untrained network.
        data: all rows; those for training and validation are looked at.
        run, device: where it is kept and computed.
    """

    columns = HISTORY
    several = property(lambda self: self.fitted.decisions.several)  # whether a thing may have several labels

    def __init__(self, learner: "LabelLearner", task: Task, data: LearningData, run: Run, device: Device):
        super().__init__(task, run)
        self.learner, self.data, self.device = learner, data, device
        self.fitted, self.network = task.fitted, task.fitted.model
        self.rows = {name: data.places(name) for name in ("train", "validation")}
        self.targets = self._encoded(data.table["target"].to_pylist())
        self.settings = transfer.Settings(
            self.several,
            self.card.seed,
            self.card.epochs,
            self.card.batch_size,
            self.card.learning_rate,
            learner.finetune_epochs,
            learner.scratch_epochs(len(self.rows["train"])),
            learner.scratch_rate,
        )
        # On the way to fine-tuning, the user's epochs, batch size and rate are meant for that.
        given = self.card.method == "probe"
        self.head_settings = self.settings if given else transfer.Settings(self.several, self.card.seed)
        self.runtimes: dict[str, Runtime | None] = {}
        self.penalty = transfer.PENALTIES[len(transfer.PENALTIES) // 2]

    def learn(self) -> tuple[Fitted, dict[str, Any]]:
        """Learn by the card's method, choose, decide and save the model; return what was found, and the summary."""
        method = self.method(self.learner.pretrained)
        with self.device.scope():
            if method != "scratch":
                return self._choose(*self._climbed(method))
            with self.timed("scratch"):
                self._all_layers(transfer.scratch)
            return self._choose("scratch", "asked for" if self.card.method == "scratch" else "no pretrained weights")

    def _climbed(self, method: str) -> tuple[str, str]:
        """Climb the rungs of a method from pretrained weights; return the rung that is kept and why."""
        if method == "contrastive":
            with self.timed("contrastive"):
                self._contrast()
        with self.timed("probe"):
            self.penalty = self._probe()
        if method in ("probe", "contrastive"):
            return method, "asked for"
        if method == "lora":
            with self.timed("lora"):
                self._all_layers(transfer.lora)
            self.network = type(self.network).within(merged(self.network.answers))
            return "lora", "asked for"
        tune, held = partial(self._all_layers, transfer.finetune), self.data.rows("validation")
        return self.finetuned(self.network.logits, tune, self._validation, held, "probe")

    def _contrast(self) -> None:
        """Learn the encoder from pairs of training rows with a common label; the head comes after it."""
        card, pairs = self.card, LabelPairs(self._read_rows("train"), self.card.seed)
        config = PairConfig(
            "contrastive", False, card.seed, card.epochs or pairs.epochs, card.batch_size, card.learning_rate
        )
        none = ArrayRows(np.zeros((0,)), np.zeros((0,)))
        with self.monitor(at_least=5.0) as policy:
            self.history += learn_pairs(embedder(self.network.encoder), pairs, none, config, policy)

    def _probe(self) -> float:
        """Learn the head on cached features and put it into the network; return the penalty that won."""
        train = self._features("train", self.learner.views)
        held = self._features("validation", 1)
        with self.monitor(at_least=5.0) as policy:
            found = transfer.probe(train, held[:2], self.head_settings, policy)
        self.network.head.set_weights([found.kernel, found.bias])
        self.history += found.history
        return found.penalty

    def _all_layers(self, rung) -> None:
        """Learn all layers; the rung is `transfer.lora`, `finetune` or `scratch`."""
        with self.monitor() as policy:  # epochs of a head take milliseconds, these don't
            self.history += rung(
                self.network, self._read_rows("train"), self._read_rows("validation"), self.settings, policy
            )

    def _choose(self, kept: str, why: str) -> tuple[Fitted, dict[str, Any]]:
        """Decide on validation rows, refit where wished, save."""
        if self.card.refit:
            self._refit()
            protocol = {"temperature": 1.0, "threshold": None, "conformal": None}
        else:
            protocol = self._decide()
        summary = self.finish(self.network.answers, kept, why, refit=self.card.refit, **protocol)
        return replace(self.fitted, model=self.network), summary

    def _decide(self) -> dict[str, Any]:
        """Fit temperature, threshold and conformal quantile on validation rows; return what was decided."""
        outcome, labels, temperature = self._validation(), self.fitted.decisions, 1.0
        if self.card.calibrate and len(outcome.scores):
            temperature = calibration.fitted_temperature(outcome)
            self.network.scores.temperature.assign(temperature)
            scores = calibration.at_temperature(outcome.scores, temperature, outcome.several).astype(np.float32)
            outcome = replace(outcome, scores=scores)
        labels = decided(labels, outcome, self.card.sensitivity, self.card.specificity, self.card.conformal)
        self.fitted = self.fitted.having(decisions=labels)
        return {"temperature": temperature, "threshold": labels.threshold, "conformal": labels.conformal}

    def _refit(self) -> None:
        if any(getattr(self.card, name, None) is not None for name in ("sensitivity", "specificity", "conformal")):
            raise UserError(
                "--refit leaves no unseen validation rows: drop --sensitivity, --specificity and --conformal, or --refit"
            )
        train, held = self._features("train", 1), self._features("validation", 1)
        weights = None if train[2] is None else np.concatenate([train[2], held[2]])
        joined = (np.concatenate([train[0], held[0]]), np.concatenate([train[1], held[1]]), weights)
        none = (joined[0][:0], joined[1][:0])
        with self.monitor(at_least=5.0) as policy:
            settings = (
                self.settings
                if self.card.method == "probe"
                else transfer.Settings(self.settings.several, self.card.seed)
            )
            found = transfer.probe(joined, none, settings, policy, penalties=(self.penalty,), phase="refit")
        self.network.head.set_weights([found.kernel, found.bias])
        self.history += found.history

    def _features(self, split: str, views: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return features, targets and weights of a split; each row once per view, the first view being the plain one."""
        rows = np.tile(self.rows[split], views)
        return self._joined(split, views, len(self.rows[split])), self.targets[rows], self._weights(rows)

    def _joined(self, split: str, views: int, count: int) -> np.ndarray:
        """Return the features of all views, `count` for each, float32 `[views * count, d]`."""
        parts = [self._view(split, view, count) for view in range(views)]
        return parts[0] if views == 1 else np.concatenate(parts)

    def _view(self, split: str, view: int, count: int) -> np.ndarray:
        encoder, rows = self.network.encoder, self.rows[split]
        change = "" if view == 0 else f"{self.learner.variation} {self.card.seed} {view}"
        prints = "".join(self.data.seen.fingerprints[row] for row in rows)
        weights = digest(*(value.tobytes() for value in checkpoint.values_of(encoder.weights)))
        network = f"{self.card.backbone} {getattr(self.card, 'alpha', None)} keras {keras.__version__}"
        schema = str(sorted(self.fitted.schema.items()))
        runtime = self._runtime(weights)
        name = "tensorflow" if runtime is None else runtime.name
        key = digest("features 2", prints, schema, network, weights, change, self.device.precision, name)
        shape = (count, encoder.output_shape[-1])

        def fill(out: np.ndarray) -> None:
            label = f"features of {split}" + (f", view {view + 1}" if view else "")
            with progress.job(label, len(rows)) as done:
                forward = encoder.predict_on_batch if runtime is None else runtime.run
                self._fill(split, view, forward, out, done)

        return cache.cached_array(key, shape, fill) if count else np.zeros(shape, np.float32)

    def _fill(self, split: str, view: int, forward: Callable, out: np.ndarray, done: Callable) -> None:
        """Fill `out` with a view's features."""
        batches = self._read_rows(split).in_turn(self.task.predictor.batch_size, view or None)
        transfer.features_of(forward, batches, out, done)

    def _runtime(self, weights: str) -> Runtime | None:
        """Return what computes features, chosen once for an encoder with these weights (their hash); None for Keras."""
        if weights in self.runtimes:
            return self.runtimes[weights]
        rows = np.concatenate(list(self.rows.values()))
        first = [self.data.table.take(pa.array(rows[:RACED]))]
        size = self.task.predictor.batch_size
        track = Track(self.run.folder, "encoder", self.network.encoder, size, self.card.runtime)
        sample = partial(sampled, self.task.reader, first)
        self.runtimes[weights], _ = track.choose(len(rows) * self.learner.views, sample)
        return self.runtimes[weights]

    def _encoded(self, targets: list[str | None]) -> Any:
        """Return targets as they are learnt, in the order of all rows."""
        return self.fitted.decisions.encode(targets)

    def _read_rows(self, split: str) -> ReadRows:
        rows = self.rows[split]
        weights = self._weights(rows) if split == "train" else None
        return ReadRows(self.task.reader, self.data.rows(split), self.targets[rows], weights)

    def _weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return float32 weights that give every class the same sum, or None where all rows count alike."""
        if self.card.class_weights == "none":
            return None
        targets = self.targets[self.rows["train"]]
        shares = np.maximum(targets.sum(0), 1) / len(targets)
        each = self.targets[rows] / (shares * self.targets.shape[1])
        return (each.sum(1) / np.maximum(self.targets[rows].sum(1), 1)).astype(np.float32)

    def _validation(self) -> Outcome:
        """Return the outcome of the network, as it stands, on the validation rows."""
        rows, labels = self.rows["validation"], self.fitted.decisions
        scores = np.zeros((len(rows), self.targets.shape[1]), np.float32)
        with progress.job("answers on validation", len(rows)) as done:
            batches = self._read_rows("validation").in_turn(self.task.predictor.batch_size)
            transfer.features_of(self.network.answers.predict_on_batch, batches, scores, done)
        return Outcome(self.targets[rows], scores, labels.chosen(scores), labels.positive_index)
