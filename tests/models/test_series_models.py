"""Detectors of series: causal, whole when reloaded, calm about what is missing, and awake to what is strange."""

import numpy as np
import pytest

from horngate.models.anomaly.series_detectors import KINDS, joined
from horngate.models.anomaly.window_learning import WindowConfig, learnt, moments
from horngate.models.saving import open_model
from horngate.models.training.learning import CheckpointPolicy

WINDOW, SMOOTH = 16, 4


def waves(rows=500, seed=0):
    """Return two columns that go up and down, `[rows, 2]`."""
    draw, at = np.random.default_rng(seed), np.arange(rows)
    wave = np.stack([10 + np.sin(at / 5), 300 + 50 * np.cos(at / 5)], 1)
    return (wave + draw.normal(size=wave.shape) * [0.02, 1.0]).astype(np.float32)


def windows_of(rows):
    """Return the trailing window of every row, NaN before the first."""
    padded = np.concatenate([np.full((WINDOW - 1, rows.shape[1]), np.nan, np.float32), rows])
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0).transpose(0, 2, 1).copy()


@pytest.fixture(scope="module")
def detectors():
    """A function that returns a detector of some kind, learnt once."""
    made, rows = {}, waves()

    def detector(kind):
        if kind not in made:
            parts = windows_of(rows)[WINDOW:]
            config = WindowConfig(SMOOTH, seed=0, epochs=8)
            made[kind], _ = learnt(kind, parts[:400:3], parts[400::3], moments(rows), config, CheckpointPolicy())
        return made[kind]

    return detector


def scores_of(model, rows):
    return np.asarray(model.predict_on_batch(windows_of(rows)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_looks_at_nothing_after_its_row(kind, detectors):
    rows, changed = waves(60, seed=1), waves(60, seed=1)
    changed[40:] = 1e6
    before, after = (scores_of(detectors(kind), part) for part in (rows, changed))
    assert np.array_equal(before[:40], after[:40])
    assert (after[40:, 0] > before[40:, 0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_strange_column_is_named(kind, detectors):
    rows = waves(120, seed=2)
    rows[80:84, 1] += 200
    scores = scores_of(detectors(kind), rows)
    assert scores[80:84, 0].max() > 3 * np.median(scores[30:80, 0])
    assert scores[83, 2] > 0.7 * scores[83, 0]
    assert np.allclose(scores[:, 1:3].sum(1), scores[:, 0], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_rows_get_scores_that_are_no_zeros(kind, detectors):
    scores = scores_of(detectors(kind), waves(30, seed=3))[:, 0]
    assert np.isfinite(scores).all() and (scores > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_raises_no_alarm(kind, detectors):
    rows = waves(120, seed=4)
    whole = scores_of(detectors(kind), rows)
    rows[50:55, 0] = np.nan
    rows[70, :] = np.nan
    holes = scores_of(detectors(kind), rows)
    assert np.isfinite(holes).all()
    assert holes[:, 0].max() < 3 * whole[:, 0].max()
    assert (holes[53, 1], holes[54, 1]) == (0, 0)  # four rows without a value: nothing to be surprised by


def test_a_first_forecast_is_the_training_mean(detectors):
    rows = waves(1, seed=0)
    rows[0] = [10.0, 300.0 + 10 * 36.0]
    score = scores_of(detectors("linear"), rows)[0]
    assert score[0] == pytest.approx(10 / np.sqrt(2), rel=0.1) and score[2] > 0.99 * score[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reloaded_detector_says_the_same(kind, detectors, tmp_path):
    model = joined([detectors(kind), detectors("linear")])
    model.save(tmp_path / "model.keras")
    again = open_model(tmp_path / "model.keras")
    rows = waves(50, seed=5)
    assert np.array_equal(scores_of(again, rows), scores_of(model, rows))


def test_far_values_stay_finite(detectors):
    rows = waves(60, seed=6)
    rows[30] = [3e38, -3e38]
    for kind in KINDS:
        scores = scores_of(detectors(kind), rows)
        assert np.isfinite(scores).all() and scores[30, 0] > 100


def test_a_cut_training_ends_with_the_same_weights(tmp_path):
    import threading

    from horngate.models.training.learning import Interrupted

    parts, scale = windows_of(waves(200))[WINDOW:], moments(waves(200))
    config, stop = WindowConfig(SMOOTH, seed=1, epochs=2), threading.Event()

    def learn(policy):
        return learnt("forecaster", parts[:140:4], parts[140::4], scale, config, policy)[0].get_weights()

    straight = learn(CheckpointPolicy(tmp_path / "straight"))
    cut = CheckpointPolicy(tmp_path / "cut", at_least=0.0, stop=stop, told=lambda phase, history: stop.set())
    with pytest.raises(Interrupted):
        learn(cut)
    stop.clear()
    resumed = learn(CheckpointPolicy(tmp_path / "cut"))
    assert all(np.array_equal(one, other) for one, other in zip(straight, resumed, strict=True))
