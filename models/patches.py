"""Pictures into patches: what a frozen backbone sees around each place of a picture."""

import keras
from keras import ops

from horngate.models.backbones import BackboneError, picture_backbone

FINEST = 8  # pixels between two patches; the layers of this output stride and of twice as much are looked at


@keras.saving.register_keras_serializable("horngate")
class Patches(keras.layers.Layer):
    """Averages each map over the neighbourhood of every place, brings all to the first one's grid, and joins them.

    That is the locally aware patch feature of Roth et al. 2022 (arXiv 2106.08265, section 3.1).

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
        return ops.concatenate(grids, axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:3], sum(shape[-1] for shape in input_shape))

    def get_config(self):
        return super().get_config() | {"neighbourhood": self.neighbourhood}


def patch_encoder(name: str, weights: str, size: int | None, alpha: float | None) -> keras.Model:
    """Return a frozen model named `patches` from uint8 pixels `[n, s, s, 3]` to patches float32 `[n, s / 8, s / 8, c]`.

    Args:
        name, weights, size, alpha: as of `picture_encoder`.

    Raises:
        BackboneError: as of `picture_encoder`; or the backbone has no maps of 1/8 and 1/16 of the side.
    """
    backbone, scaling, side, _ = picture_backbone(name, weights, size, alpha, 0)
    inputs = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    maps = [layer.output for layer in _stages(backbone, side, name)]
    encoder = keras.Model(inputs, Patches(name="joined")(keras.Model(backbone.inputs, maps)(scaling(inputs))))
    encoder.trainable = False
    encoder.name = "patches"
    return encoder


def _stages(backbone: keras.Model, side: int, name: str) -> list[keras.layers.Layer]:
    """Return the last layers of the output strides 8 and 16, before what only pads for the next stride."""
    found = {}
    for layer in backbone.layers:
        shape = getattr(layer.output, "shape", ()) if hasattr(layer, "output") else ()
        if len(shape) != 4 or isinstance(layer, keras.layers.ZeroPadding2D):
            continue
        for stride in (FINEST, 2 * FINEST):
            if shape[1] == shape[2] == -(-side // stride):
                found[stride] = layer
    if len(found) < 2:
        raise BackboneError(
            f"{name} has no maps of 1/{FINEST} and 1/{2 * FINEST} of the side; choose a convolutional --backbone"
        )
    return [found[FINEST], found[2 * FINEST]]
