"""Pictures into patches: what a frozen backbone sees around each place of a picture."""

import keras
from keras import ops

from horngate.models.errors import UserError

PADDING = keras.layers.ZeroPadding2D  # for the next stride
MERGES = (keras.layers.Add, keras.layers.Concatenate)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU)
TINY = 1e-6  # length of a patch, below which it isn't scaled up to 1


class NoMaps(UserError, ValueError):
    """A backbone without the maps that patches are made of; one line that says what to do."""


@keras.saving.register_keras_serializable("horngate")
class Patches(keras.layers.Layer):
    """Averages each map over the neighbourhood of every place, brings all to the first one's grid, and joins them.

    That is the locally aware patch feature of Roth et al. 2022 (arXiv 2106.08265, section 3.1), but that the part of each
    map has the length 1 before they are joined: so no map outweighs another, and contrast alone makes no patch strange.

    Args:
        neighbourhood: side of the square that is averaged over, in places of the map.
    """

    def __init__(self, neighbourhood=3, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.neighbourhood = neighbourhood

    def call(self, maps):
        """Return float32 `[n, h, w, c1 + c2 + …]` from maps `[n, h, w, c1]`, `[n, h2, w2, c2]`, …"""
        height, width = maps[0].shape[1:3]
        side = self.neighbourhood
        means = [ops.average_pool(ops.cast(one, "float32"), side, 1, "same") for one in maps]
        grids = [
            one if one.shape[1:3] == (height, width) else ops.image.resize(one, (height, width), "bilinear")
            for one in means
        ]
        return ops.concatenate([self.scaled(grid) for grid in grids], axis=-1)

    def scaled(self, grid):
        """Return the part of one map with the length 1 at every place."""
        length = ops.sqrt(ops.sum(ops.square(grid), axis=-1, keepdims=True))
        return grid / ops.maximum(length, TINY)

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:3], sum(shape[-1] for shape in input_shape))


def patch_encoder(backbone: keras.Model, scaling: keras.layers.Layer, side: int, finest: int) -> keras.Model:
    """Return a frozen model named `patches` from uint8 pixels `[n, s, s, 3]` to patches float32 `[n, h, w, c]`.

    Args:
        backbone: from scaled pixels to maps, as `picture_backbone` gives it.
        scaling: the layer before it.
        side: s.
        finest: pixels between two patches; maps of this output stride and of twice as much are looked at.

    Raises:
        NoMaps: the backbone has none of these.
    """
    inputs = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    maps = [stage_output(backbone, side, stride) for stride in (finest, 2 * finest)]
    encoder = keras.Model(inputs, Patches(name="joined")(keras.Model(backbone.input, maps)(scaling(inputs))))
    encoder.trainable = False
    encoder.name = "patches"
    return encoder


def stage_output(backbone: keras.Model, side: int, stride: int):
    """Return what the last block of an output stride gives: its last sum or concatenation, with the activation behind it.

    A backbone without such merges gives its last map of that stride.

    Raises:
        NoMaps: no map of this stride.
    """
    maps = [layer for layer in backbone.layers if _is_map(layer, -(-side // stride))]
    if not maps:
        raise NoMaps(f"{backbone.name} has no maps of 1/{stride} of the side; choose a convolutional --backbone")
    merges = [place for place, layer in enumerate(maps) if isinstance(layer, MERGES)]
    last = merges[-1] if merges else len(maps) - 1
    if merges and last + 1 < len(maps) and isinstance(maps[last + 1], ACTIVATIONS):
        last += 1
    return maps[last].output


def _is_map(layer: keras.layers.Layer, places: int) -> bool:
    shape = () if isinstance(layer, keras.layers.InputLayer | PADDING) else getattr(layer.output, "shape", ())
    return len(shape) == 4 and shape[1] == shape[2] == places
