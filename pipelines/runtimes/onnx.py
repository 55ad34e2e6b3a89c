"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from horngate.pipelines.runtimes import Runtime


class Onnx(Runtime):
    """An `.onnx` file."""

    name = "onnx"
    batch = 8

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.entry = self.session.get_inputs()[0].name

    def run(self, batch: np.ndarray) -> np.ndarray:
        parts = np.split(batch, len(batch) // self.batch)
        return np.concatenate([self.session.run(None, {self.entry: part})[0] for part in parts])


def start(path: Path) -> Onnx:
    """Return the runtime of an `.onnx` file."""
    return Onnx(path)
