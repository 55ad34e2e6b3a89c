"""Pictures inside a TensorFlow graph: what the reader does, as far as TensorFlow can."""

from typing import Any

import tensorflow as tf


def decoded(files: Any, size: int, resize: str, channels: int = 3) -> Any:
    """Return uint8 pixels `[n, size, size, channels]` (1 for greys, 3 for RGB) of encoded JPEG, PNG, GIF or BMP pictures.

    `files` is a string tensor `[n]`. No EXIF rotation, no TIFF or WebP, transparency is dropped. Rounding differs from the
    reader's by a level or two.
    """

    def one(file: Any) -> Any:
        pixels = tf.image.decode_image(file, channels=channels, expand_animations=False)
        pixels.set_shape((None, None, channels))
        shape = tf.shape(pixels)
        if resize == "crop":
            side = tf.minimum(shape[0], shape[1])
            top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
            pixels = pixels[top : top + side, left : left + side]
        if resize == "pad":
            side = tf.maximum(shape[0], shape[1])
            pixels = tf.image.resize_with_crop_or_pad(pixels, side, side)
        smooth = tf.image.resize(pixels, (size, size), "bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8)

    return tf.map_fn(one, files, fn_output_signature=tf.TensorSpec((size, size, channels), tf.uint8))
