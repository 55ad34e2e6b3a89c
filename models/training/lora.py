"""LoRA (Hu et al. 2021, arXiv 2106.09685): learn small factors beside attention's projections, and merge them in the end."""

import math

import keras

from horngate.models.errors import UserError
from horngate.models.network import fresh_layers

RANK = 8
PROJECTIONS = ("query", "value", "query_dense", "value_dense")


class NoAttention(UserError, ValueError):
    """A network without the projections that LoRA goes beside; one line that says what to do."""


def adapt(encoder: keras.Model, rank: int = RANK) -> int:
    """Freeze an encoder but for factors of this rank beside its queries and values, and for what starts anew in it.

    Returns:
        How many numbers learn.

    Raises:
        NoAttention: there are no such projections.
    """
    found = [
        layer for layer in encoder._flatten_layers() if layer.name in PROJECTIONS and hasattr(layer, "enable_lora")
    ]
    if not found:
        raise NoAttention("--method lora needs a backbone with attention, such as BERT or a vision transformer")
    encoder.trainable = True
    for layer in encoder._flatten_layers(include_self=False):
        layer.trainable = False
    for layer in fresh_layers(encoder):
        layer.trainable = True
    for layer in found:
        layer.trainable = True
        layer.enable_lora(rank)
        for variable in (layer.bias,) if layer.bias is not None else ():
            variable.trainable = False
    return sum(math.prod(variable.shape) for variable in encoder.trainable_variables)


def merged(model: keras.Model) -> keras.Model:
    """Return a model of the same structure without factors: they are added to the kernels that they stand beside."""
    values = {variable.path: variable for variable in model.weights}
    for layer in model._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            values[layer._kernel.path] = layer.kernel
    fresh = model.from_config(model.get_config())
    for variable in fresh.weights:
        variable.assign(values[variable.path])
    return fresh
