"""Runtimes: what computes a forward pass in Keras's place, each on a file that `conversion` wrote."""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from horngate.pipelines.spec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("saved_model", "onnx", "litert")
PRECISIONS = ("float32", "float16", "int8")


class Runtime(ABC):
    """A model file, ready to answer.

    Attributes:
        name: of the format.
        batch: rows that are computed together; `run` takes multiples of it.
    """

    name: str
    batch: int = 32

    @abstractmethod
    def run(self, batch: "np.ndarray") -> "np.ndarray":
        """Return outputs `[n, …]` for tensors `[n, …]`, `n` a multiple of the attribute `batch`."""

    def serve(self, files: "list[bytes]") -> "tuple[list[str], np.ndarray]":
        """Return labels and scores for encoded inputs, where the format takes such."""
        raise TypeError(f"{self.name} takes tensors only")


def start(kind: str, path: Path) -> Runtime:
    """Return the runtime of a model file, in its own package: no TensorFlow for `onnx` and `litert`.

    Raises:
        UserError: the runtime's package is missing, or rejects the file.
    """
    module, extra = {
        "litert": ("litert", "horngate[litert]"),
        "onnx": ("onnx", "horngate[onnx]"),
        "saved_model": ("saved_model", "tensorflow"),
    }[kind]
    try:
        return import_module(f"{__name__}.{module}").start(path)
    except ImportError as problem:
        raise UserError(f"{kind} needs a package that isn't here ({problem.name}): install {extra}") from None
    except Exception as problem:  # runtimes raise whatever a file makes them raise
        raise UserError(f"{path} is rejected by its runtime: {' '.join(str(problem).split())[:300]}") from None
