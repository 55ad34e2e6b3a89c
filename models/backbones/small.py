"""A small residual network for pictures, learnt from a random start where there are no pretrained weights."""

import keras
from keras import layers


def small_network(size: int, width: int = 32) -> keras.Model:
    """Return a network from scaled pixels float `[n, size, size, 3]` to maps `[n, h, w, c]`, h between 4 and 8.

    Residual blocks after He et al. 2016 (arXiv 1603.05027), two convolutions each, halving the side per stage.
    """
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    side, channels = size, width
    while side > 7 or channels == width:
        x = _block(x, channels, strides=2)
        side, channels = -(-side // 2), min(channels * 2, 8 * width)
    x = _block(x, channels, strides=1)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Activation("relu")(x), name="small")


def _block(x, channels: int, strides: int):
    y = layers.Activation("relu")(layers.BatchNormalization()(x))
    if strides > 1 or x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, strides=strides, padding="same", use_bias=False)(y)
    y = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(y)
    y = layers.Activation("relu")(layers.BatchNormalization()(y))
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
    return layers.Add()([x, y])
