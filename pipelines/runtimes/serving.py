"""Answers inside a TensorFlow graph, for what is served without horngate."""

from typing import Any

import tensorflow as tf

from horngate.pipelines.tasks.classification.labels import MIDDLE, Labels


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
