"""Measures of scores against scikit-learn and slow loops; vectors of categories and fed rows against slow loops."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score, root_mean_squared_error

from horngate.pipelines.metrics import scoring
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.statistics.intervals import bootstrap


def clicks(rows: int = 600, users: int = 40, seed: int = 0) -> Outcome:
    draw = np.random.default_rng(seed)
    scores = np.round(draw.random(rows), 2)  # with ties
    targets = (draw.random(rows) < scores).astype(float)
    return Outcome(scores, targets, draw.integers(0, users, rows) * 7, True)


def values(outcome: Outcome, weights: np.ndarray | None = None) -> dict[str, float]:
    weights = np.ones(len(outcome)) if weights is None else weights
    return {name: measure(weights) for name, (_, measure) in scoring.measures(outcome).items()}


def test_clicks_are_measured_as_scikit_learn_measures_them():
    outcome = clicks()
    found = values(outcome)
    assert found["auroc"] == pytest.approx(roc_auc_score(outcome.targets, outcome.scores))
    assert found["log_loss"] == pytest.approx(log_loss(outcome.targets, np.clip(outcome.scores, 1e-7, 1 - 1e-7)))
    assert list(found) == ["auroc", "gauc", "log_loss", "ece"]


def test_gauc_is_the_mean_over_users_with_both_classes_by_their_rows():
    outcome = clicks(200)
    total = rows = left_out = 0
    for user in np.unique(outcome.users):
        own = outcome.users == user
        if np.ptp(outcome.targets[own]) == 0:
            left_out += 1
            continue
        total += own.sum() * roc_auc_score(outcome.targets[own], outcome.scores[own])
        rows += own.sum()
    assert left_out > 0
    assert values(outcome)["gauc"] == pytest.approx(total / rows)
    assert np.isnan(scoring.areas(outcome)[0]).sum() == left_out


def test_gauc_of_weighted_users_is_that_of_users_that_stand_there_more_often():
    outcome = clicks(200)
    times = np.random.default_rng(1).integers(0, 3, 40)[outcome.units]
    rows = np.repeat(np.arange(len(outcome)), times)
    own = outcome.units[rows]
    copies = np.concatenate([np.arange(count) for count in times]).astype(int)
    repeated = Outcome(outcome.scores[rows], outcome.targets[rows], own * 10 + copies, True)
    assert values(outcome, times.astype(float))["gauc"] == pytest.approx(values(repeated)["gauc"])


def test_calibration_error_is_that_of_bins_of_equal_rows():
    outcome = clicks(900)
    order = np.quantile(outcome.scores, np.arange(1, 15) / 15)
    bins = [[] for _ in range(15)]
    for score, target in zip(outcome.scores, outcome.targets, strict=True):
        bins[int(sum(score > edge for edge in order))].append(score - target)
    total = sum(abs(sum(part)) for part in bins) / 900
    assert values(outcome)["ece"] == pytest.approx(total)
    targets = np.array([1, 0, 0, 0, 0] * 10 + [1, 1, 1, 0, 0] * 10, float)
    perfect = Outcome(np.repeat([0.2, 0.6], 50), targets, None, True)
    assert scoring.measures(perfect)["ece"][1](np.ones(100)) == pytest.approx(0, abs=1e-12)
    assert sum(part["rows"] for part in scoring.reliability(outcome)) == 900


def test_ratings_are_measured_as_scikit_learn_measures_them():
    draw = np.random.default_rng(3)
    outcome = Outcome(draw.normal(3, 1, 300), draw.integers(1, 6, 300).astype(float), None, False)
    found = values(outcome)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(outcome.targets, outcome.scores))
    assert found["mae"] == pytest.approx(mean_absolute_error(outcome.targets, outcome.scores))


def test_what_cannot_be_computed_says_why():
    outcome = clicks(50)
    alone = Outcome(outcome.scores, outcome.targets, None, True)
    assert "--user-column" in scoring.measures(alone)["gauc"][1]
    one = Outcome(outcome.scores, np.ones(50), outcome.users, True)
    assert "one class" in scoring.measures(one)["auroc"][1] and "both classes" in scoring.measures(one)["gauc"][1]
    same = Outcome(np.full(4, 0.5), np.array([1.0, 0, 1, 0]), np.array([5, 5, 9, 9]), True)
    assert values(same)["gauc"] == 0.5 and values(same)["auroc"] == 0.5


def test_a_draw_takes_whole_users():
    outcome = clicks(300, users=6)
    assert outcome.units.max() == 5 and set(np.unique(outcome.units)) == set(range(6))
    measures = {name: measure for name, (_, measure) in scoring.measures(outcome).items()}
    wide = bootstrap(measures, 300, outcome.units)["log_loss"]
    slow = []
    losses = scoring.losses_of(outcome)
    for draw in range(1000):
        picks = np.random.default_rng((0, draw)).integers(0, 6, 6, dtype=np.int32)
        rows = np.concatenate([np.flatnonzero(outcome.units == pick) for pick in picks])
        slow.append(losses[rows].mean())
    assert wide == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_the_worst_users_are_those_with_the_highest_mean_loss():
    outcome = Outcome(np.array([1.0, 1, 3, 3, 9]), np.array([1.0, 2, 3, 5, 1]), np.array([4, 4, 7, 7, 8]), False)
    assert scoring.worst_users(outcome, 2, 5) == [(7, 2, 2.0, 4.0), (4, 2, 0.5, 1.5)]
    assert scoring.worst_users(outcome, 1, 1)[0][0] == 8


def test_a_field_is_the_vector_of_its_category_or_the_mean_of_those_of_its_list():
    from horngate.models.recommendation.fields import Fields

    layer = Fields([(0, 1, 3), (2, 3, 2)], 4)
    rows = [[1, 9, 0, 1, np.nan], [np.nan, 9, np.nan, np.nan, np.nan], [7, 9, 1, np.nan, 5]]
    found = np.asarray(layer(np.array(rows, np.float32)))
    table = np.asarray(layer.table.embeddings)
    assert table.shape == (3 + 2 + 2 + 2, 4)
    second = table[5:]
    wanted = [
        [table[1], (second[0] + second[1]) / 2],
        [table[4], second[3]],  # gaps
        [table[3], (second[1] + second[2]) / 2],  # never seen
    ]
    assert np.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["dcn", "deepfm"])
def test_half_precision_tells_neighbouring_codes_apart(kind):
    import keras

    from horngate.models.recommendation.rankers import Layout, Shape, ranker

    layout, rows = Layout(1, ((0, 1, 60_000),), ()), np.array([[50_001], [50_002]], np.float32)
    usual = ranker(kind, layout, Shape(4, 0.0), None, "usual")
    usual.get_layer("fields").table.embeddings.assign(
        np.random.default_rng(0).normal(size=(60_002, usual.get_layer("fields").dimension))
    )
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        half = ranker(kind, layout, Shape(4, 0.0), None, "half")
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(usual.get_weights())
    wanted = np.asarray(usual(rows))
    assert abs(wanted[0, 0] - wanted[1, 0]) > 0.1 and np.allclose(half(rows), wanted, atol=0.05)


def test_forgetting_depends_on_the_epoch_alone_and_leaves_validation_whole():
    from horngate.models.recommendation.rankers import Forgetting

    inputs = np.tile(np.array([[1, 2, 0, np.nan]], np.float32), (400, 1))
    fed = Forgetting(inputs, np.zeros((400, 1), np.float32), [(0, 1, 5), (1, 1, 6), (2, 2, 3)], 0.25, 0)
    rows = np.arange(400)
    first, again, other = (fed.batch(rows, epoch)[0] for epoch in (1, 1, 2))
    assert np.array_equal(first, again, equal_nan=True) and not np.array_equal(first, other, equal_nan=True)
    assert set(np.unique(first[:, 0])) == {1, 5} and set(np.unique(first[:, 1])) == {2, 6}
    assert 0.18 < (first[:, 0] == 5).mean() < 0.32
    assert np.array_equal(first[:, 2:], inputs[:, 2:], equal_nan=True)
    assert np.array_equal(fed.batch(rows, None)[0], inputs, equal_nan=True)
    assert np.array_equal(fed.inputs, inputs, equal_nan=True)
