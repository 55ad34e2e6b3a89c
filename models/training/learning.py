"""The one gradient loop: Keras's `fit`, made resumable. What happens at a step depends on (seed, epoch, step) alone."""

from typing import Any

import keras

from horngate.models.training.batches import ArrayRows, Batches, PlainBatches, Rows
from horngate.models.training.phase import CheckpointPolicy, Diverged, Interrupted, Plan
from horngate.models.training.resumable_state import ResumableState

__all__ = ["ArrayRows", "CheckpointPolicy", "Diverged", "Interrupted", "Plan", "Rows", "learn"]


def learn(
    model: keras.Model, rows: Rows, validation: Rows, plan: Plan, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    """Train a compiled model and leave in it the weights of the best epoch by `plan.monitor`.

    A phase that was finished before only loads its weights; one that was cut goes on at the step after its checkpoint.

    Returns:
        The history: one row per epoch with `phase`, `epoch`, the training and validation measures, `learning_rate`.

    Raises:
        Interrupted: `policy.stop` was set; the checkpoint is written.
        DamagedCheckpoint: the checkpoint can't be read or doesn't fit.
    """
    model.optimizer.build(model.trainable_variables)
    state = ResumableState(model, plan, policy, plan.steps(rows.count))
    state.load()
    while not state.done:
        left = state.steps - state.step
        batches = Batches(rows, plan, state.epoch, state.step, state.steps)
        ends = state.epoch + 1 if state.step else plan.epochs
        try:
            model.fit(
                batches,
                initial_epoch=state.epoch,
                epochs=ends,
                steps_per_epoch=left,
                validation_data=PlainBatches(validation, plan.batch_size) if validation.count else None,
                callbacks=[state],
                shuffle=False,
                verbose=0,
            )
        finally:
            batches.close()
        state.check_stop()
    state.finish()
    return state.history
