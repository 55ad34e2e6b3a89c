"""What one forward pass of a model costs: multiplications that are added up, counted from its layers."""

import math

import keras

from horngate.models.speech.spectra import LogMel

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def multiply_adds(model: keras.Model) -> int:
    """Return the multiply-adds of one row: of all kernels at each place that they are applied at, of attention, of log-mel.

    What costs one operation a number (activations, sums, normalisation) isn't counted.
    """
    return sum(_of(layer, _places(layer)) for layer in _leaves(model))


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a model, those of models within it in their place."""
    found = []
    for layer in model.layers:
        found += _leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _places(layer: keras.layers.Layer) -> int:
    """Return at how many places a layer's kernels are applied: the output without its rows and channels."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return 1
    return math.prod(length or 1 for length in shape[1:-1])


def _of(layer: keras.layers.Layer, places: int) -> int:
    if isinstance(layer, LogMel):
        kernel, filters = layer.kernel.size, layer.filters.size
        return places * (kernel + filters)
    kernels = [variable for variable in layer.variables if variable.path.rsplit("/", 1)[-1] in KERNELS]
    count = places * sum(math.prod(kernel.shape) for kernel in kernels)
    return count + sum(_attention(part, places) for part in _within(layer))


def _within(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return [part for part in layer._flatten_layers() if "MultiHeadAttention" in type(part).__name__]


def _attention(layer: keras.layers.Layer, places: int) -> int:
    """Return the multiply-adds of scores and of weighted sums."""
    heads, width = getattr(layer, "_num_heads", None), getattr(layer, "_key_dim", None)
    if heads is None or width is None:
        heads, width = getattr(layer, "num_heads", 0), getattr(layer, "head_dim", getattr(layer, "key_dim", 0))
    return 2 * places * places * (heads or 0) * (width or 0)
