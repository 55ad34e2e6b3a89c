"""Keras models into the files of other runtimes."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from horngate.models.training.checkpoint import values_of
from horngate.pipelines.system.files import digest


def content_of(model: keras.Model) -> str:
    """Return a hash of a model's layers and weights, and of the versions that convert it."""
    layers = json.dumps(model.get_config(), sort_keys=True, default=str)
    weights = digest(*(value.tobytes() for value in values_of(model.weights)))
    return digest("litert 1", layers, weights, keras.__version__, tf.__version__)


def to_litert(model: keras.Model, path: Path, precision: str = "float32", sample: np.ndarray | None = None) -> None:
    """Write a model with one input as a `.tflite` file.

    The graph is frozen before it is converted, which takes a fifth of the time of Keras's own way through a SavedModel.

    Args:
        precision: `float32`; `float16` halves the weights; `int8` quantises weights and activations.
        sample: tensors `[n, …]` that int8 takes the ranges of activations from.
    """
    (entry,) = model.inputs
    signature = [tf.TensorSpec(entry.shape, entry.dtype, name=entry.name)]
    traced = tf.function(lambda tensors: model(tensors, training=False), signature, autograph=False)
    frozen = convert_variables_to_constants_v2(traced.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in sample)
    path.write_bytes(converter.convert())


def to_onnx(model: keras.Model, path: Path, precision: str = "float32", sample: np.ndarray | None = None) -> None:
    """Write a model with one input as an `.onnx` file; arguments as of `to_litert`."""
    (entry,) = model.inputs
    once = keras.ops.zeros([size or 1 for size in entry.shape], entry.dtype)
    model(once, training=False)  # Keras exports what was called once
    model.export(path, format="onnx", verbose=False)
    if precision == "float16":
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
    if precision == "int8":
        _quantise(path, sample)


def _quantise(path: Path, sample: np.ndarray) -> None:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Sample(quantization.CalibrationDataReader):
        def __init__(self, entry: str):
            self.rows = iter({entry: row[None]} for row in sample)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.rows, None)

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    entry = onnx.load(path).graph.input[0].name
    quantization.quantize_static(str(prepared), str(path), Sample(entry), per_channel=True)
    prepared.unlink()


def to_saved_model(model: keras.Model, path: Path, serving: Any = None) -> None:
    """Write a model as a SavedModel's folder with a signature `tensors`, and `serving_default` where `serving` gives one.

    Args:
        serving: a function of a string tensor `[n]` that returns a dict of tensors; without it `serving_default` is
            `tensors` too.
    """
    (entry,) = model.inputs
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec(entry.shape, entry.dtype, name="inputs")]

    def tensors(inputs):
        return {"outputs": model(inputs, training=False)}

    if serving is None:
        archive.add_endpoint("serving_default", tensors, signature)
    else:
        archive.add_endpoint("serving_default", serving, [tf.TensorSpec((None,), tf.string, name="inputs")])
    archive.add_endpoint("tensors", tensors, signature)
    archive.write_out(str(path), verbose=False)
