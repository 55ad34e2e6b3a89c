"""Models that score items: closed forms against their definitions, losses against a loop, what is saved and reopened."""

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array

from horngate.models.recommendation import closed_form, propagation
from horngate.models.recommendation.autoencoder import Autoencoder
from horngate.models.recommendation.interactions import HeldRows, Lists, UserRows
from horngate.models.recommendation.retrieval import Factors, Linear, ndcg, softmax_loss
from horngate.models.recommendation.retrieval_learning import PHASES, RetrievalSettings
from horngate.models.saving import open_model
from horngate.models.training.learning import CheckpointPolicy
from horngate.pipelines.recommendation.retrieve.learner import compressed


def rows(users=30, items=12, share=0.4, seed=0) -> csr_array:
    draw = np.random.default_rng(seed)
    return csr_array((draw.random((users, items)) < share).astype(np.float32))


def lists_of(matrix: csr_array) -> Lists:
    return Lists(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.shape[1])


def test_ease_is_the_ridge_regression_of_each_item_on_all_others():
    found, dense = rows(), rows().toarray()
    weights = closed_form.ease(found, 5.0)
    for item in range(dense.shape[1]):
        others = np.delete(dense, item, axis=1)
        slow = np.linalg.solve(others.T @ others + 5.0 * np.eye(others.shape[1]), others.T @ dense[:, item])
        assert np.delete(weights[:, item], item) == pytest.approx(slow, abs=1e-4)
    assert (np.diag(weights) == 0).all()


def test_neighbours_are_the_most_like_by_cosine():
    from sklearn.metrics.pairwise import cosine_similarity

    found = rows()
    near = closed_form.nearest(*closed_form.neighbours(found, 6), 4).toarray()
    slow = cosine_similarity(found.toarray().T)
    np.fill_diagonal(slow, 0)
    for item in range(12):
        kept = np.flatnonzero(near[:, item])
        assert len(kept) <= 4 and near[kept, item] == pytest.approx(slow[kept, item], abs=1e-5)
        assert near[:, item].sum() == pytest.approx(np.sort(slow[item])[-4:].sum(), abs=1e-5)


def test_an_item_that_nobody_met_is_like_nothing():
    found = csr_array(np.array([[1, 0, 1], [1, 0, 0]], np.float32))
    assert np.isfinite(closed_form.neighbours(found, 2)[1]).all()
    assert np.isfinite(closed_form.ease(found, 1.0)).all()
    assert np.isfinite(closed_form.normalised(found).toarray()).all()


@pytest.mark.parametrize("product", [None, compressed])
def test_a_product_with_edges_is_that_of_the_matrix_with_its_gradient(product):
    import tensorflow as tf

    found = rows(20, 9).tocoo()
    order = np.lexsort((found.col, found.row))
    row, column, weight = found.row[order], found.col[order], found.data[order] * np.float32(0.5)
    edges = propagation.Edges(row, column, weight, found.shape, product)
    dense = tf.constant(found.toarray() * np.float32(0.5))
    vectors = tf.constant(np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32))
    assert np.asarray(edges.times(vectors)) == pytest.approx((dense @ vectors).numpy(), abs=1e-5)
    users = tf.constant(np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32))
    assert np.asarray(edges.transposed(users)) == pytest.approx((tf.transpose(dense) @ users).numpy(), abs=1e-5)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(vectors)
        fast = tf.reduce_sum(edges.times(vectors) ** 2)
        exact = tf.reduce_sum((dense @ vectors) ** 2)
    assert tape.gradient(fast, vectors).numpy() == pytest.approx(tape.gradient(exact, vectors).numpy(), abs=1e-4)


def test_the_loss_is_the_mean_surprise_of_each_users_items():
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(3, 6)).astype(np.float32)
    targets = np.array([[1, 3, 0], [6, 0, 0], [2, 4, 5]], np.int32)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    slow = np.mean(
        [np.mean([-np.log(chances[row, code - 1]) for code in own if code]) for row, own in enumerate(targets)]
    )
    assert float(softmax_loss(targets, keras.ops.convert_to_tensor(scores))) == pytest.approx(slow, abs=1e-5)


def test_the_measure_while_learning_is_that_of_the_report():
    from horngate.pipelines.metrics import ranking
    from horngate.pipelines.recommendation.retrieval import ranked_lists

    draw = np.random.default_rng(1)
    scores = draw.normal(size=(25, 30)).astype(np.float32)
    kinds = draw.choice([0, 1, 2], (25, 30), p=[0.6, 0.2, 0.2])
    kinds[:, 0] = 1
    seen, held = csr_array((kinds == 2).astype(np.float32)), csr_array((kinds == 1).astype(np.float32))
    codes, _ = ranked_lists.lists(lambda users: scores[users].copy(), np.arange(25), seen, np.ones(30, bool), 20)
    exact = ranking.ndcg(10)(ranking.ranking(codes, (held.indptr.astype(np.int64), held.indices), np.ones(30))).mean()
    past, wanted = (lists_of(part).padded(np.arange(25), 30) for part in (seen, held))
    targets = np.concatenate([wanted, -past], axis=1)
    assert float(ndcg(targets, keras.ops.convert_to_tensor(scores))) == pytest.approx(exact, abs=1e-5)


def test_padded_lists_keep_the_last_items_or_draw_among_them():
    lists = Lists(np.array([0, 2, 7]), np.array([4, 1, 0, 1, 2, 3, 4], np.int32), 5)
    assert lists.padded(np.array([0, 1]), 3).tolist() == [[5, 2, 0], [3, 4, 5]]
    drawn = lists.padded(np.array([1]), 3, np.random.default_rng(0))[0]
    assert len(set(drawn.tolist())) == 3 and set(drawn.tolist()) <= {1, 2, 3, 4, 5}


def test_targets_of_drawn_items_point_at_the_users_own():
    lists = lists_of(rows(50, 200, 0.05))
    found = UserRows(lists, False, seed=0, negatives=60)
    (users, items, chance), targets, _ = found.batch(np.arange(10), 3)
    assert len(items) == len(set(items.tolist())) == 120 and ((chance > 0) & (chance <= 1)).all()
    for row, user in enumerate(users):
        own = items[targets[row][targets[row] > 0] - 1]
        assert set(own.tolist()) <= set(lists.of(int(user)).tolist())
    again = found.batch(np.arange(10), 3)
    assert all((one == other).all() for one, other in zip((users, items, chance), again[0], strict=True))


def test_users_without_a_past_are_neither_learnt_from_nor_judged():
    lists = Lists(np.array([0, 2, 2, 3]), np.array([0, 1, 2], np.int32), 4)
    held = Lists(np.array([0, 1, 2, 2]), np.array([3, 3], np.int32), 4)
    assert UserRows(lists, False, 0).users.tolist() == [0, 2]
    assert HeldRows(lists, held, False).users.tolist() == [0]


@pytest.mark.parametrize("name", ["mf", "lightgcn", "multvae", "towers"])
def test_a_model_learns_and_reopens_to_the_same_scores(name, tmp_path):
    lists, held = lists_of(rows(40, 15, 0.3)), lists_of(rows(40, 15, 0.1, seed=1))
    settings = RetrievalSettings(dimension=4, epochs=4)
    features = [{"item": (np.arange(15, dtype=np.int32)[:, None] % 3 + 1, np.zeros((15, 1), np.float32), 4)}]
    found = PHASES[name](lists, held, settings, CheckpointPolicy(), *(features if name == "towers" else []))
    losses = [row["loss"] for row in found.history]
    assert min(losses[1:]) < losses[0] and all(0 <= row["val_loss"] <= 1 for row in found.history)
    given = lists.padded(np.arange(40), 16) if name == "multvae" else np.arange(40, dtype=np.int32)
    before = found.answers.predict_on_batch(given)
    found.answers.save(tmp_path / "model.keras")
    assert before.shape == (40, 15) and np.isfinite(before).all()
    assert (open_model(tmp_path / "model.keras").predict_on_batch(given) == before).all()


def test_drawn_negatives_learn_too():
    lists, held = lists_of(rows(60, 80, 0.1)), lists_of(rows(60, 80, 0.03, seed=1))
    found = PHASES["mf"](lists, held, RetrievalSettings(dimension=8, epochs=12, negatives=10), CheckpointPolicy())
    losses = [row["loss"] for row in found.history]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_cut_training_goes_on_to_the_same_scores(tmp_path):
    import threading

    from horngate.models.training.learning import Interrupted

    lists, held = lists_of(rows(40, 15, 0.3)), lists_of(rows(40, 15, 0.1, seed=1))
    settings = RetrievalSettings(dimension=4, epochs=4, batch_size=20)
    whole = PHASES["multvae"](lists, held, settings, CheckpointPolicy(tmp_path / "whole", at_least=0.0))
    stop = threading.Event()
    cut = CheckpointPolicy(
        tmp_path / "cut", at_least=0.0, stop=stop, told=lambda phase, history: len(history) > 1 and stop.set()
    )
    with pytest.raises(Interrupted):
        PHASES["multvae"](lists, held, settings, cut)
    again = PHASES["multvae"](lists, held, settings, CheckpointPolicy(tmp_path / "cut", at_least=0.0))
    given = lists.padded(np.arange(40), 16)
    assert len(again.history) == len(whole.history) == 4
    assert (again.answers.predict_on_batch(given) == whole.answers.predict_on_batch(given)).all()


def test_lists_become_scores_by_weights_of_items_on_items():
    layer = Linear(4)
    layer.build()
    kernel = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    layer.kernel.assign(kernel)
    found = np.asarray(layer(np.array([[1, 3, 0], [0, 0, 0]], np.int32)))
    assert found == pytest.approx(np.stack([kernel[0] + kernel[2], np.zeros(4)]), abs=1e-6)


def test_scores_of_chosen_items_are_those_among_all():
    layer = Factors(5, 7, 3)
    users, items = np.array([1, 4], np.int32), np.array([6, 0], np.int32)
    assert np.asarray(layer(users, items)) == pytest.approx(np.asarray(layer(users))[:, [6, 0]], abs=1e-5)


def test_an_autoencoder_hides_and_blurs_only_while_it_learns():
    layer = Autoencoder(6, hidden=5, dimension=2)
    given = np.array([[1, 2, 0]], np.int32)
    assert (np.asarray(layer(given)) == np.asarray(layer(given))).all()
    assert (np.asarray(layer(given, training=True)) != np.asarray(layer(given, training=True))).any()


def test_ease_is_its_closed_form_with_more_items_than_a_block():
    from scipy.sparse import random

    rows = csr_array(random(300, 1100, 0.03, random_state=0, dtype=np.float32))
    gram = (rows.T @ rows).toarray().astype(np.float64) + 20 * np.eye(1100)
    inverse = np.linalg.inv(gram)
    wanted = -inverse / np.diag(inverse)
    np.fill_diagonal(wanted, 0.0)
    np.testing.assert_allclose(closed_form.ease(rows, 20.0), wanted, atol=1e-5)
