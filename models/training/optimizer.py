"""AdamW with a learning rate for each depth, and the schedule that all phases use."""

import keras


@keras.saving.register_keras_serializable("horngate")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW (arXiv 1711.05101) whose step on each variable is scaled by a factor, such as a decay over layers.

    Args:
        factors: one factor per trainable variable, in the order of `trainable_variables`; None for 1 everywhere.
    """

    def __init__(self, *args, factors=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.factors = None if factors is None else list(factors)

    def update_step(self, gradient, variable, learning_rate):
        if self.factors is not None:
            learning_rate = learning_rate * self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return super().get_config() | {"factors": self.factors}


def adamw(peak: float, steps: int, warmup: float, weight_decay: float, factors=None) -> LayerwiseAdamW:
    """Return an optimizer whose rate rises linearly to `peak` and falls to 0 as a cosine over `steps`.

    Args:
        peak: highest learning rate.
        steps: number of updates altogether.
        warmup: share of them spent rising.
        weight_decay: decoupled decay; biases and the parameters of norms are left out.
        factors: one per trainable variable, or None.
    """
    rising = int(warmup * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rising else peak,
        decay_steps=max(steps - rising, 1),
        warmup_target=peak if rising else None,
        warmup_steps=rising,
    )
    optimizer = LayerwiseAdamW(schedule, weight_decay=weight_decay, factors=factors)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
