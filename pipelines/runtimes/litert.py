"""LiteRT (formerly TensorFlow Lite) with XNNPACK: the fast way on a CPU."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from horngate.pipelines.runtimes import Runtime
from horngate.pipelines.system import progress

ROWS = 4  # of one invocation; caches of a core hold the maps of a few pictures, not of 32
MOST_COPIES = 1 << 30  # bytes that all interpreters' copies of the weights may take


class LiteRT(Runtime):
    """A `.tflite` file on all cores: one interpreter of one thread per core, each with its share of a batch.

    Several interpreters don't wait for each other as the threads of one do, so readers can work in between. Large models
    get fewer interpreters of more threads.
    """

    name = "litert"
    batch = ROWS

    def __init__(self, path: Path, cores: int | None = None):
        cores = cores or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        self.path = path
        copies = max(1, min(cores, MOST_COPIES // max(path.stat().st_size, 1)))
        self.threads = max(1, cores // copies)
        self.free: SimpleQueue = SimpleQueue()
        with progress.hushed():
            self.free.put(self._interpreter())
        for _ in range(copies - 1):
            self.free.put(None)  # made when first needed
        self.pool = ThreadPoolExecutor(copies, "litert")

    def _interpreter(self) -> Interpreter:
        interpreter = Interpreter(str(self.path), num_threads=self.threads)
        interpreter.allocate_tensors()
        return interpreter

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate(list(self.pool.map(self._run, np.split(batch, len(batch) // ROWS))))

    def _run(self, rows: np.ndarray) -> np.ndarray:
        interpreter = self.free.get() or self._interpreter()
        try:
            entry = interpreter.get_input_details()[0]
            if tuple(entry["shape"]) != rows.shape:
                interpreter.resize_tensor_input(entry["index"], rows.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(entry["index"], rows)
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        finally:
            self.free.put(interpreter)


def start(path: Path) -> LiteRT:
    """Return the runtime of a `.tflite` file."""
    return LiteRT(path)
