"""When a fine-tuned network counts as better than the one before, and what a training leaves behind."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from horngate.models.training import checkpoint
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.training.phases import PhaseRunner

ROWS = 60


def answered(right: int) -> Outcome:
    """Return an outcome of two classes in which so many rows come out right."""
    targets = np.eye(2, dtype=np.float32)[np.arange(ROWS) % 2]
    chosen = np.where(np.arange(ROWS) < right, targets.argmax(1), 1 - targets.argmax(1))
    return Outcome(targets, np.eye(2, dtype=np.float32)[chosen], chosen)


@pytest.fixture
def training(tmp_path):
    def metrics(outcome):
        return {"accuracy": (MEASURES["accuracy"], MEASURES["accuracy"].prepare(outcome))}

    evaluator = SimpleNamespace(metrics=metrics)
    return PhaseRunner(SimpleNamespace(card=SimpleNamespace(seed=0), evaluator=evaluator), Run(tmp_path))


def network(value: float) -> keras.Model:
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(value))(inputs))


@pytest.mark.parametrize(("before", "after", "kept"), [(30, 55, "finetune"), (55, 54, "probe"), (54, 55, "probe")])
def test_what_is_not_surely_better_is_taken_back(training, before, after, kept):
    model, weights = network(2.0), checkpoint.values_of(network(1.0).weights)
    groups = [None] * ROWS
    name, why = training.better(model, weights, (answered(before), answered(after)), groups, "probe")
    assert name == kept and f"{(after - before) / ROWS:+.4f}" in why and "from probe to finetune" in why
    assert why.endswith("no sure gain") == (kept == "probe")
    assert np.all(model.weights[0] == (2.0 if kept == "finetune" else 1.0))


def test_without_validation_rows_what_was_asked_for_is_kept(training):
    model = network(2.0)
    name, why = training.better(model, checkpoint.values_of(network(1.0).weights), ((), ()), [], "untuned")
    assert name == "finetune" and "no validation rows" in why and np.all(model.weights[0] == 2.0)


def test_a_finished_training_leaves_model_history_and_what_it_cost(training):
    training.history = [{"phase": "probe", "epoch": 1, "loss": 0.5}]
    with training.timed("probe"):
        pass
    summary = training.finish(network(1.0), "probe", "asked for", threshold=0.3)
    assert summary["method"] == "probe" and summary["costs_seconds"].keys() == {"probe"}
    assert summary["protocol"] == {"method": "probe", "chosen_because": "asked for", "refit": False, "threshold": 0.3}
    assert (training.run / "model.keras").is_file() and "0.5" in (training.run / "history.csv").read_text()
