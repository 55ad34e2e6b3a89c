"""U-Nets: an encoder that gives maps of several scales, and a decoder that brings them back to the pixels."""

import keras
from keras import layers

from horngate.models.backbones.pictures import picture_backbone
from horngate.models.vision.patches import NoMaps, stage_output
from horngate.models.vision.scaling import Levels, Scaling

DEPTH = 4  # times that the plain encoder halves the side
WIDEST = 8  # times the first width that a map has channels, at most
DECODED = 160  # channels of the decoder's coarsest map on a backbone, at most
MOMENTUM = 0.9  # of batch normalisation: a training on a user's pictures has few steps


def plain_encoder(levels: Levels, shape: tuple[int, int, int], dtype: str, width: int) -> keras.Model:
    """Return a model named `encoder` from pixels `[n, s, s, c]` to maps of 1/1, 1/2 … 1/16 of the side, finest first.

    Two convolutions at each scale (Ronneberger et al. 2015, arXiv 1505.04597), each with batch normalisation; the side is
    kept by padding, so that the answer has the size of the picture.

    Args:
        levels: brings pixels to 0…255.
        shape: s, s and c.
        width: channels at the finest scale.
    """
    inputs = keras.Input(shape, dtype=dtype, name="pixels")
    channels = levels.channels
    x = Scaling([1 / 127.5] * channels, [-1.0] * channels, name="scaling")(levels(inputs))
    maps = []
    for depth in range(DEPTH + 1):
        x = layers.MaxPooling2D(2)(x) if depth else x
        x = _twice(x, width * min(2**depth, WIDEST))
        maps.append(x)
    return keras.Model(inputs, maps, name="encoder")


def backbone_encoder(
    levels: Levels, shape: tuple[int, int, int], dtype: str, name: str, weights: str, alpha: float | None
) -> keras.Model:
    """Return a model named `encoder` from pixels `[n, s, s, c]` to maps of 1/2 … 1/32 of the side, finest first.

    The maps are the outputs of a backbone's stages; one that lacks a scale goes without it.

    Args:
        name, weights, alpha: as of `picture_backbone`, whose errors this raises too.

    Raises:
        NoMaps: the backbone has no maps of the coarser scales.
    """
    backbone, scaling, side, _ = picture_backbone(name, weights, shape[0], alpha, shape[0])
    outputs = []
    for stride in (2, 4, 8, 16, 32):
        try:
            outputs.append(stage_output(backbone, side, stride))
        except NoMaps:
            if stride in (8, 16):
                raise
    stages = keras.Model(backbone.input, outputs, name="stages")
    inputs = keras.Input(shape, dtype=dtype, name="pixels")
    return keras.Model(inputs, stages(scaling(levels(inputs))), name="encoder")


def decoded(maps: list, side: int, width: int | None = None):
    """Return a map `[n, side, side, channels]` from an encoder's maps, finest first.

    Each step doubles the side bilinearly, joins the encoder's map of that scale, and convolves twice.

    Args:
        width: channels of the finest map; default: what halving `DECODED` at each step leaves, 16 at least.
    """
    *skips, x = maps
    steps = len(skips) + (skips[0].shape[1] != side)
    for step, skip in enumerate([*reversed(skips), None][:steps]):
        channels = width * min(2 ** (steps - 1 - step), WIDEST) if width else max(DECODED >> step, 16)
        target = side if skip is None else skip.shape[1]
        x = layers.Resizing(target, target, "bilinear")(x) if target != 2 * x.shape[1] else _doubled(x)
        x = _twice(x if skip is None else layers.Concatenate()([x, skip]), channels)
    return x


def _doubled(x):
    return layers.UpSampling2D(2, interpolation="bilinear")(x)


def _twice(x, channels: int):
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(x))
    return x
