"""Sentence embeddings: an encoder whose features have length 1, and how it learns from pairs of texts."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from horngate.models.network import depths, thaw
from horngate.models.training.learning import CheckpointPolicy, Plan, Rows, learn
from horngate.models.training.lora import adapt
from horngate.models.training.optimizer import adamw

SHALLOWEST = 0.05  # share of the learning rate that the layers next to the input get: pairs teach the deep ones
SHARPNESS = 20.0  # that cosines are multiplied by, in both losses: a temperature of 0.05
FAR = -1e9  # the logit of what doesn't count


@dataclass(frozen=True)
class PairConfig:
    """How to learn from pairs; None leaves it to the phase.

    Attributes:
        phase: `finetune` or `contrastive` (gently, from pretrained weights), `lora` or `scratch`.
        scored: whether the pairs have scores; without them the other pairs of a batch are the negatives. In the phase
            `contrastive` the pairs have labels.
    """

    phase: str
    scored: bool
    seed: int
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


DEFAULTS = {  # epochs, pairs per step, peak rate
    "finetune": (4, 32, 5e-5),
    "contrastive": (1, 16, 1e-4),
    "lora": (4, 32, 1e-3),
    "scratch": (12, 32, 1e-3),
}


def embedder(encoder: keras.Model) -> keras.Model:
    """Return a model named `answers` from an encoder's input to its features float32 `[n, d]`, scaled to length 1."""
    unit = layers.UnitNormalization(dtype="float32", name="unit")
    return keras.Model(encoder.input, unit(encoder(encoder.input)), name="answers")


def pairs_of(answers: keras.Model) -> keras.Model:
    """Return a model from inputs in pairs, `[n, ..., 2]`, to the embeddings of both, float32 `[n, 2, d]`."""
    both = keras.Input((*answers.input_shape[1:], 2), dtype=answers.input.dtype, name="pairs")
    return keras.Model(both, ops.stack([answers(both[..., place]) for place in (0, 1)], axis=1), name="pairs")


def cosent(scores, vectors):
    """Return how far the cosines of pairs are from the order of their scores, a scalar (CoSENT, Su 2022).

    It is log(1 + the sum of exp(20 (cos i - cos j)) over all pairs i whose score is lower than that of j): scores of any
    scale will do, for only their order counts.

    Args:
        scores: float32 `[n, 1]`.
        vectors: float32 `[n, 2, d]`, of length 1.
    """
    cosines = SHARPNESS * ops.sum(vectors[:, 0] * vectors[:, 1], axis=-1)
    scores = ops.reshape(scores, (-1,))
    gaps = cosines[:, None] - cosines[None]
    counted = ops.where(scores[:, None] < scores[None], gaps, FAR)
    return ops.logsumexp(ops.concatenate([ops.zeros((1,)), ops.reshape(counted, (-1,))]))


def ranking(numbers, vectors):
    """Return float32 `[n]`: the cross-entropy of each first text's own second among all seconds of the batch.

    Multiple negatives ranking (Henderson et al. 2017, arXiv 1705.00652). A second is no negative of a row where either of
    its texts is equal to the row's.

    Args:
        numbers: float32 `[n, 2]`; equal texts have equal numbers.
        vectors: float32 `[n, 2, d]`, of length 1.
    """
    cosines = SHARPNESS * ops.matmul(vectors[:, 0], ops.transpose(vectors[:, 1]))
    own = ops.cast(ops.eye(ops.shape(cosines)[0]), "bool")
    same = ops.any(ops.equal(numbers[:, None], numbers[None]), axis=-1)
    rivals = ops.where(ops.logical_and(same, ops.logical_not(own)), FAR, cosines)
    return ops.logsumexp(rivals, axis=1) - ops.diagonal(cosines)


def contrast(targets, vectors):
    """Return float32 `[2 n]`: how far each text is from those of the batch that have its labels, against all the others.

    Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362); where texts have several labels, one counts by the
    share of labels that both have of those that one has.

    Args:
        targets: float32 `[n, classes, 2]`, one-hot or multi-hot, of both texts of each pair.
        vectors: float32 `[n, 2, d]`, of length 1.
    """
    targets = ops.concatenate([targets[..., 0], targets[..., 1]])
    vectors = ops.concatenate([vectors[:, 0], vectors[:, 1]])
    both = ops.matmul(targets, ops.transpose(targets))
    sizes = ops.sum(targets, axis=-1)
    shares = both / ops.maximum(sizes[:, None] + sizes[None] - both, 1.0)
    itself = ops.eye(ops.shape(vectors)[0])
    shares = shares * (1 - itself)
    logits = SHARPNESS * ops.matmul(vectors, ops.transpose(vectors)) + FAR * itself
    nearness = logits - ops.logsumexp(logits, axis=1, keepdims=True)
    return -ops.sum(shares * nearness, axis=1) / ops.maximum(ops.sum(shares, axis=1), 1e-6)


def learn_pairs(
    answers: keras.Model, train: Rows, validation: Rows, config: PairConfig, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    """Train an embedder on pairs and leave in it the epoch of the lowest validation loss; return the history.

    In fine-tuning rates fall geometrically towards the input (Howard & Ruder 2018, arXiv 1801.06146). After `lora`,
    `models.lora.merged` gives the embedder without factors.

    Args:
        train, validation: rows of inputs `[n, ..., 2]` and what `cosent`, `ranking` or `contrast` takes first; without
            validation rows the last epoch is kept.

    Raises:
        NoAttention: the encoder has nothing that LoRA goes beside.
    """
    gently = config.phase in ("finetune", "contrastive")
    epochs, batch_size, rate = DEFAULTS[config.phase]
    plan = Plan(config.phase, config.epochs or epochs, config.batch_size or batch_size, config.seed)
    encoder = answers.get_layer("encoder")
    if config.phase == "lora":
        adapt(encoder)
    else:
        thaw(encoder, norms=not gently)
    model, depth = pairs_of(answers), depths(encoder)
    factors = [SHALLOWEST ** (1 - depth.get(variable.path, 1.0)) for variable in model.trainable_variables]
    steps = plan.epochs * plan.steps(train.count)
    optimizer = adamw(config.learning_rate or rate, steps, 0.1, 0.01, factors if gently else None)
    loss = contrast if config.phase == "contrastive" else cosent if config.scored else ranking
    model.compile(optimizer=optimizer, loss=loss)
    return learn(model, train, validation, plan, policy)
