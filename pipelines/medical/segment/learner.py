"""How a segmenter learns: the decoder on a frozen encoder, then all layers; or all from a random start. Resumable."""

from functools import partial
from typing import Any

import numpy as np

from horngate.models.network import depths
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.models.vision.segmentation import Segmenter, SegmenterConfig, is_preset, on_backbone, on_preset, plain
from horngate.pipelines.medical import Segment
from horngate.pipelines.medical.segment.baselines import outcomes_of
from horngate.pipelines.medical.segment.cases import cases_of
from horngate.pipelines.medical.segment.patches import PatchRows, shares
from horngate.pipelines.medical.segment.reader import MARGIN
from horngate.pipelines.metrics.segmentation import RULE, Cases
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

HISTORY = ["phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
EPOCHS = {"scratch": 40, "probe": 15, "finetune": 20}
RATES = {"scratch": 2e-3, "probe": 2e-3, "finetune": 4e-4}
SHALLOWEST = 0.1  # of the rate of fine-tuning, next to the input
BATCH = 8  # patches
DECAY = 1e-4


class MaskLearner:
    """Learns masks from patches of the training rows."""

    def __init__(self, task: Task):
        self.task = task

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        fitted = self.task.fitted
        with device.scope():
            network = untrained(self.task.card, fitted)
        side = network.answers.input_shape[1]
        fitted = fitted.having(schema={"size": side, "margin": side // MARGIN}, model=network.answers)
        task = self.task.with_fitted(fitted)
        summary = MaskTraining(task, network, data, run, device).train()
        names = ", ".join(fitted.decisions.names)
        summary["protocol"] |= {
            "classes": f"{names}; the first is the background",
            "empty_masks": RULE,
            "tolerance": task.card.tolerance,
            "poses": len(task.predictor.poses),
            "tiles": f"{side} pixels, {side // MARGIN} of them overlapping at each side",
        }
        return fitted, summary | {"parameters": int(network.answers.count_params())}

    def baselines(self, data: LearningData) -> dict[str, dict[str, Cases]]:
        return outcomes_of(self.task, data)


class MaskTraining(PhaseRunner):
    """One training of a segmenter, phase after phase; those that were finished before only load their weights.

    Args:
        task: with what is found so far, the untrained model among it.
        network: that model and its parts.
        data: the rows.
        run, device: where it is kept and computed.
    """

    columns = HISTORY

    def __init__(self, task: Task, network: Segmenter, data: LearningData, run: Run, device: Any):
        super().__init__(task, run)
        self.network, self.device = network, device
        self.held_table = data.rows("validation")
        self.rows = PatchRows(task, data.rows("train"), self.card.patches)
        self.held = PatchRows(task, self.held_table, None)

    def train(self) -> dict[str, Any]:
        """Learn by the card's method, choose, save the model, and return the summary."""
        with self.device.scope():
            kept, why = self._learnt()
        return self.finish(self.network.answers, kept, why)

    def _learnt(self) -> tuple[str, str]:
        """Learn; return the phase that is kept and why."""
        pretrained = is_pretrained(self.card)
        method = self.method(pretrained)
        if method == "scratch" and pretrained:
            raise UserError("--method scratch starts from random weights: say --weights none, or leave --backbone out")
        first = "scratch" if method == "scratch" else "probe"
        with self.timed(first):
            self._phase(first)
        if method == first:
            return first, "asked for" if method == self.card.method else "no pretrained weights"
        tune = partial(self._phase, "finetune")
        return self.finetuned(self.network.logits, tune, self._validated, self.held_table, "probe")

    def _phase(self, name: str) -> None:
        if name == "probe":
            self.network.freeze()
        else:
            self.network.thaw(norms=name == "scratch")
        plan = self._plan(name)
        factors = None
        if name == "finetune":
            deep = depths(self.network.encoder)
            variables = self.network.logits.trainable_variables
            factors = [SHALLOWEST ** (1 - deep.get(variable.path, 1.0)) for variable in variables]
        rate, steps = self.card.learning_rate or RATES[name], plan.epochs * plan.steps(self.rows.count)
        optimizer = adamw(rate, steps, 0.05, DECAY, factors)
        self.network.compile(optimizer, self.card.dice_weight, self._balance())
        self.learn_phase(self.network.logits, self.rows, self.held, plan)

    def _plan(self, name: str) -> Plan:
        """Return the plan of a phase; on the way to fine-tuning, the user's epochs are meant for that."""
        own = name != "probe" or self.card.method == "probe"
        epochs = (self.card.epochs if own else None) or EPOCHS[name]
        monitor = "val_loss" if self.held.count else None
        return Plan(name, epochs, self.card.batch_size or BATCH, self.card.seed, max(8, epochs // 2), monitor)

    def _balance(self) -> list[float] | None:
        """Return weights that give every class the same sum over the training pixels, if wished."""
        if self.card.class_weights == "none":
            return None
        found = shares(self.rows, len(self.task.fitted.decisions))
        weights = np.where(found > 0, 1 / np.maximum(found, 1e-6), 0.0)
        return (weights / (weights * found).sum()).tolist()

    def _validated(self) -> Cases:
        """Return how the network, as it stands, answers the validation rows."""
        rows = [
            dict(zip(said.columns, row, strict=True))
            for said in self.task.predictor.predict([self.held_table], labelled=True)
            if said.columns is not None
            for row in zip(*said.columns.values(), strict=True)
        ]
        return cases_of(rows, len(self.task.fitted.decisions))


def is_pretrained(card: Segment) -> bool:
    """Return whether the encoder starts from pretrained weights."""
    return card.backbone not in (None, "small") and card.weights != "none"


def untrained(card: Segment, fitted: Fitted) -> Segmenter:
    """Return the network that a card asks for, of the tiles and classes that the training rows have.

    Raises:
        UserError: its backbone or preset can't be had, or doesn't fit.
    """
    schema, classes = fitted.schema, len(fitted.decisions)
    config = SegmenterConfig(schema["size"], schema["channels"], schema["dtype"], classes, card.width, card.seed)
    if not is_pretrained(card):
        progress.notice(f"no pretrained weights: {card.backbone or 'a U-Net'} starts from random weights")
    if card.backbone in (None, "small"):
        return plain(config)
    name = pretrained.found(card.backbone)
    if is_preset(name):
        return on_preset(config, name, card.weights)
    return on_backbone(config, name, card.weights, card.alpha)
