"""A TensorFlow SavedModel, by its signature that takes tensors."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from horngate.pipelines.runtimes import Runtime


class SavedModel(Runtime):
    """A SavedModel's folder with a signature `tensors`."""

    name = "saved_model"

    def __init__(self, path: Path):
        self.model = tf.saved_model.load(str(path))
        self.tensors = self.model.signatures["tensors"]
        (self.entry,) = self.tensors.structured_input_signature[1]

    def run(self, batch: np.ndarray) -> np.ndarray:
        return self.tensors(**{self.entry: tf.constant(batch)})["outputs"].numpy()

    def serve(self, files: list[bytes]) -> tuple[list[str], np.ndarray]:
        answers = self.model.signatures["serving_default"](inputs=tf.constant(files))
        return [label.decode() for label in answers["label"].numpy().tolist()], answers["scores"].numpy()


def start(path: Path) -> SavedModel:
    """Return the runtime of a SavedModel's folder."""
    return SavedModel(path)
