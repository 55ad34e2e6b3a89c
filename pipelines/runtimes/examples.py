"""Examples that go into bundles: how to use the model with its runtime alone."""

HEAD = '''"""Answers files with the model beside this script: python example.py FILE…

Needs {package}. Without files it replays the golden rows and says how far their outputs are from the run's own.
"""

import json
import sys
from pathlib import Path

'''
TAIL = """

for path in sys.argv[1:]:
    print(path, *answer(path, outputs_of(read(path)[None])[0]), sep="\\t")
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


def outputs_of(tensors):
    interpreter.resize_tensor_input(entry, tensors.shape)
    interpreter.allocate_tensors()
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


def example(kind: str, reading: str, saying: str, named: bool) -> str:
    """Return the source of `example.py` for a runtime.

    Args:
        reading: the task's source of `read(path)`, with its imports.
        saying: the task's source of `answer(path, outputs)`, which may use `names`.
        named: whether the task has labels, whose `names` are read from `labels.json`.
    """
    package, imports, using = RUNTIMES[kind]
    head = HEAD.format(package=f"{package} and what is imported below")
    parts = [reading.strip() + "\n" + HERE, NAMES if named else "", using, "\n\n", saying.strip(), "\n", TAIL]
    return head + imports + "".join(parts)
