"""Examples that go into bundles: how to use the model with its runtime alone."""

from typing import Any

HEAD = '''"""Answers files with the model beside this script: python example.py FILE…

Needs {package}. Without files it replays the golden rows and says how far their outputs are from the run's own.
"""

import json
import sys
from pathlib import Path

'''
TAIL = """

for path in sys.argv[1:]:
    scores = outputs_of(read(path)[None])[0]
    print(path, {answer}, sep="\\t")
if len(sys.argv) == 1:
    golden = np.load(here / "golden.npz")
    apart = [np.abs(outputs_of(row[None])[0] - out).max() for row, out in zip(golden["inputs"], golden["outputs"])]
    print(len(apart), "golden rows, largest difference", max(apart))
"""
HERE = """

here = Path(__file__).parent
"""
NAMES = """names = json.loads((here / "labels.json").read_text())["labels"]
"""
RUNTIMES = {
    "litert": (
        "ai-edge-litert",
        """from ai_edge_litert.interpreter import Interpreter

""",
        """interpreter = Interpreter(str(here / "model.tflite"))
entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
interpreter.allocate_tensors()


def outputs_of(tensors):
    interpreter.set_tensor(entry, tensors)
    interpreter.invoke()
    return interpreter.get_tensor(result)
""",
    ),
    "onnx": (
        "onnxruntime",
        """import onnxruntime

""",
        """session = onnxruntime.InferenceSession(str(here / "model.onnx"))
entry = session.get_inputs()[0].name


def outputs_of(tensors):
    return session.run(None, {entry: tensors})[0]
""",
    ),
    "saved_model": (
        "tensorflow",
        """import tensorflow as tf

""",
        """model = tf.saved_model.load(str(here / "model" / "1"))


def outputs_of(tensors):
    return model.signatures["tensors"](inputs=tf.constant(tensors))["outputs"].numpy()
""",
    ),
}


def example(kind: str, reading: str, labels: dict[str, Any] | None) -> str:
    """Return the source of `example.py` for a runtime.

    Args:
        reading: the task's source of `read(path)`, with its imports.
        labels: what `labels.json` holds; None for a task without labels, whose answers are the outputs themselves.
    """
    package, imports, using = RUNTIMES[kind]
    head = HEAD.format(package=f"{package} and what is imported below")
    head += imports + reading.strip() + "\n" + HERE
    if labels is None:
        return head + using + TAIL.format(answer='*(f"{score:.4f}" for score in scores[:8]), "…"')
    return head + NAMES + using + TAIL.format(answer=_deciding(labels) + ', f"{max(scores):.4f}"')


def _deciding(labels: dict[str, Any]) -> str:
    """Return the expression that makes an answer of `scores`."""
    threshold, separator, positive = labels["threshold"], labels["separator"], labels["positive"]
    if separator is not None:
        least = 0.5 if threshold is None else threshold
        return f"{separator!r}.join(name for name, score in zip(names, scores) if score >= {least})"
    if threshold is None or positive is None:
        return "names[np.argmax(scores)]"
    place = labels["labels"].index(positive)
    return f"names[{place} if scores[{place}] >= {threshold} else {1 - place}]"
