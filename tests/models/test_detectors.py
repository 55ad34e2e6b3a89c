"""Detectors as layers: they answer as the libraries that they stand for, and keep that when saved."""

import numpy as np
import pytest

from horngate.models.anomaly.detectors import Standing, axes, in_parts, instructed, joined, neighbours, opinions
from horngate.models.anomaly.learnt_detectors import LESSONS, Fed
from horngate.models.anomaly.trees import isolation_forest, labelled_forest
from horngate.models.columns import columns_layer
from horngate.models.saving import open_model
from horngate.pipelines.anomaly.table.baselines import fitted_baselines


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Correlated rows with a few far ones."""
    draw = np.random.default_rng(0)
    made = draw.normal(size=(400, 5)) @ draw.normal(size=(5, 5))
    made[:8] += 8 * draw.normal(size=(8, 5))
    return made.astype(np.float32)


def test_neighbours_are_those_of_scikit_learn(rows):
    from sklearn.neighbors import NearestNeighbors

    said = np.asarray(neighbours(rows[:300], 4, 1000, 0)(rows[300:]))
    wanted = NearestNeighbors(n_neighbors=4).fit(rows[:300]).kneighbors(rows[300:])[0].mean(1)
    np.testing.assert_allclose(said[:, 0], wanted, rtol=1e-4)
    assert said.shape == (100, 6)


def test_of_many_rows_an_even_draw_is_remembered(rows):
    layer = neighbours(rows, 3, 50, seed=1)
    assert layer.memory.shape == (50, 5)
    assert (np.asarray(layer(np.asarray(layer.memory)))[:, 0] > 0).all()  # the two others that count are not itself


def test_axes_measure_in_spreads_and_leave_out_what_never_varies(rows):
    from sklearn.decomposition import PCA

    flat = np.c_[rows, np.ones(len(rows))].astype(np.float32)
    said = np.asarray(axes(flat)(flat))
    np.testing.assert_allclose(said[:, 0], np.abs(PCA(whiten=True).fit_transform(rows)).mean(1), rtol=1e-3)
    assert (said[:, 1:] >= 0).all() and not said[:, 6].any()


def test_a_forest_walks_its_trees_as_scikit_learn_does(rows):
    from scipy.stats import spearmanr
    from sklearn.ensemble import ExtraTreesClassifier, IsolationForest

    wanted = -IsolationForest(n_estimators=100, random_state=3).fit(rows).score_samples(rows)
    assert spearmanr(np.asarray(isolation_forest(rows, 3)(rows))[:, 0], wanted).statistic > 0.9999
    truth = rows[:, 0] > 1
    model = ExtraTreesClassifier(100, max_depth=14, min_samples_leaf=2, class_weight="balanced", random_state=3)
    shares = model.fit(rows, truth).predict_proba(rows)[:, 1]
    np.testing.assert_allclose(np.asarray(labelled_forest(rows, truth, 3)(rows))[:, 0], shares, atol=1e-5)


def test_columns_keep_gaps_categories_and_long_tails_apart():
    draw = np.random.default_rng(0)
    table = np.c_[draw.normal(5, 2, 500), draw.lognormal(0, 2, 500), draw.normal(size=500), draw.integers(0, 3, 500)]
    table[:50, 2] = np.nan
    layer = columns_layer(table, [0, 0, 0, 3])
    features = in_parts(layer, table.astype("float32"))
    assert layer.sources == [0, 1, 2, 2, 3, 3, 3]
    np.testing.assert_allclose(features.mean(0), 0, atol=0.12)
    np.testing.assert_allclose(features[:, :2].std(0), 1, atol=1e-3)
    row = table[60:61].astype("float32")
    usual = in_parts(layer, row)[0]
    lacking, strange, far = row.copy(), row.copy(), row.copy()
    lacking[0, 0], strange[0, 3], far[0, 1] = np.nan, 3, 1e30
    assert in_parts(layer, lacking)[0, 0] == 6.0  # the first column never had a gap
    assert (in_parts(layer, strange)[0, 4:] < 0).all() and usual[4:].max() > 0
    assert 5 < in_parts(layer, far)[0, 1] < 1e3


def test_a_column_that_never_varies_or_is_all_gaps_does_no_harm():
    table = np.c_[np.ones(50), np.full(50, np.nan), np.arange(50.0)]
    layer = columns_layer(table, [0, 0, 0])
    said = in_parts(layer, np.array([[1, np.nan, 3], [2, 5, np.nan]], "float32"))
    assert np.isfinite(said).all() and said[1, 2] == 6.0


def members_of(features: np.ndarray, columns) -> list:
    """Return fitted members with their standing."""
    made = []
    for detector in (neighbours(features, 5, 1000, 0), axes(features), isolation_forest(features, 0)):
        standing = Standing(columns.sources)
        standing.build((None, 1 + features.shape[1]))
        standing.fit(in_parts(detector, features)[:, 0])
        made.append((detector, standing, 1.0))
    return made


@pytest.mark.parametrize("labelled", [False, True])
def test_a_saved_detector_answers_the_same_and_its_shares_sum_to_one(rows, labelled, tmp_path):
    columns = columns_layer(rows.astype(np.float64), [0] * 5)
    features = in_parts(columns, rows)
    members = members_of(features, columns)
    if labelled:
        forest = labelled_forest(opinions(features, members), np.arange(400) < 8, 0)
        model = instructed(columns, 5, members, forest)
    else:
        model = joined(columns, 5, members)
    model.save(tmp_path / "model.keras")
    said = in_parts(model, rows)
    np.testing.assert_array_equal(in_parts(open_model(tmp_path / "model.keras"), rows), said)
    np.testing.assert_allclose(said[:, 1:].sum(1), 1, atol=1e-3)
    assert said[:8, 0].mean() > np.quantile(said[8:, 0], 0.95)


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_a_lesson_is_a_function_of_seed_epoch_and_rows(rows, name):
    lesson = LESSONS[name](5)
    fed = Fed(lesson, rows, np.arange(400) < 8, seed=5, least=1000, share=0.5 if name == "deviation" else None)
    places = np.array([999, 3, 5, 700])
    first, again, later = fed.batch(places, 2), fed.batch(places, 2), fed.batch(places, 3)
    for left, right in zip(first[:2], again[:2], strict=True):
        np.testing.assert_array_equal(left, right)
    assert fed.count == 1000 and first[2] is None
    if name not in ("adversarial",):  # which adds no noise
        assert not np.array_equal(first[0], later[0])
    said = np.asarray(lesson.scoring(rows))
    assert said.shape == (400, 6) and np.isfinite(said).all() and (said[:, 1:] >= 0).all()
    loss = np.asarray(lesson.loss(np.asarray(first[1]), np.asarray(lesson.training(first[0]))))
    assert np.isfinite(loss).all()


def test_ecod_is_that_of_pyod(rows):
    ecod = pytest.importorskip("pyod.models.ecod").ECOD
    from scipy.stats import spearmanr

    ours = fitted_baselines(rows, [0] * 5, 0)["ecod"](rows)
    assert spearmanr(ours, ecod().fit(rows).decision_scores_).statistic > 0.97


def test_rivals_take_gaps_categories_and_columns_of_gaps():
    draw = np.random.default_rng(0)
    table = np.c_[draw.normal(size=(60, 2)), draw.integers(0, 3, 60), np.full(60, np.nan)].astype(np.float32)
    table[3, 0] = np.nan
    for score in fitted_baselines(table, [0, 0, 3, 0], 0).values():
        assert np.isfinite(score(table)).all()
