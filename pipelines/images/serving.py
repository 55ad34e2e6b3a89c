"""Pictures and their labels inside a TensorFlow graph, for what is served without horngate."""

from typing import Any

import tensorflow as tf

from horngate.pipelines.tasks.classification.labels import MIDDLE, Labels


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


def labelled(labels: Labels, scores: Any) -> dict[str, Any]:
    """Return what `Labels.answers` does of scores `[n, classes]`, as tensors: `label` (string `[n]`), `score`, `scores`."""
    names = tf.constant(labels.labels)
    if labels.several:
        chosen = scores >= (0.5 if labels.threshold is None else labels.threshold)
        ragged = tf.ragged.boolean_mask(tf.broadcast_to(names, tf.shape(scores)), chosen)
        label = tf.strings.reduce_join(ragged, axis=1, separator=labels.separator)
        return {"label": label, "score": tf.reduce_max(scores, 1), "scores": scores}
    if labels.threshold is not None and labels.positive is not None:
        place = labels.positive_index
        chosen = tf.where(scores[:, place] >= labels.threshold, place, 1 - place)
    elif labels.ordinal:
        chosen = tf.argmax(tf.cast(tf.cumsum(scores, 1) >= 0.5 - MIDDLE, tf.int32), 1, output_type=tf.int32)
    else:
        chosen = tf.argmax(scores, 1, output_type=tf.int32)
    return {"label": tf.gather(names, chosen), "score": tf.gather(scores, chosen, batch_dims=1), "scores": scores}
