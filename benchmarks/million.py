"""Measures a synthetic table of answers in a process of its own, for its own peak memory; see predict_stream.py."""

import json
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def measure(rows: int, classes: int) -> None:
    """Print seconds and megabytes that measuring took, beside the memory before it."""
    import pyarrow as pa

    from horngate.pipelines.tasks.classification.labels import Labels
    from horngate.pipelines.tasks.parts import Fitted
    from horngate.pipelines.tasks.task import task_of
    from horngate.pipelines.verbs.scores import measured
    from horngate.pipelines.vision import Classify

    draw = np.random.default_rng(0)
    names = tuple(f"class {number}" for number in range(classes))
    truth = draw.integers(0, classes, rows)
    scores = draw.random((rows, classes), np.float32)
    scores[np.arange(rows), truth] += 0.5
    scores /= scores.sum(1, keepdims=True)
    labels = Labels(names, positive=names[-1] if classes == 2 else None, prior=(1 / classes,) * classes)
    task = task_of(Classify()).with_fitted(Fitted(decisions=labels))
    lookup = pa.array(names)
    table = pa.table(
        {
            "id": pa.array(np.arange(rows)).cast(pa.string()),
            "label": lookup.take(pa.array(scores.argmax(1))),
            "score": pa.array(scores.max(1)),
            "scores": pa.ListArray.from_arrays(
                np.arange(0, rows * classes + 1, classes, dtype=np.int32), scores.ravel()
            ),
            "error": pa.nulls(rows, pa.string()),
            "target": lookup.take(pa.array(truth)),
            "group": pa.nulls(rows, pa.string()),
            "split": pa.array(["test"] * rows),
        }
    )
    del scores
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.monotonic()
    report = measured(task, table, "synthetic", "test", {})
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    low, high = report.metrics["accuracy"].low, report.metrics["accuracy"].high
    print(
        json.dumps(
            {"seconds": round(seconds, 1), "peak MB": round(peak), "MB before": round(before), "accuracy": [low, high]}
        )
    )
