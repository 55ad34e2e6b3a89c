"""Measures of ranked lists and the lists themselves, against slow exact versions."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from horngate.pipelines.metrics import ranking
from horngate.pipelines.recommendation.retrieval import ranked_lists


def made_up(users=40, items=60, seed=0):
    draw = np.random.default_rng(seed)
    lists = np.stack([draw.permutation(items)[:20] for _ in range(users)]).astype(np.int32)
    lists[0, 7:] = -1
    held = [draw.choice(items, draw.integers(1, 30), replace=False) for _ in range(users)]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in held])])
    bits = draw.uniform(0, 8, items)
    return lists, held, ranking.ranking(lists, (offsets, np.concatenate(held)), bits)


def by_hand(name, cut, shown, held):
    """Return a measure of one user, as its definition says."""
    gains = [1.0 if item in held else 0.0 for item in shown[:cut]] + [0.0] * (cut - len(shown[:cut]))
    best = sum(1 / math.log2(place + 2) for place in range(min(cut, len(held))))
    return {
        "ndcg": sum(gain / math.log2(place + 2) for place, gain in enumerate(gains)) / best,
        "recall": sum(gains) / len(held),
        "hit_rate": float(any(gains)),
        "mrr": next((1 / (place + 1) for place, gain in enumerate(gains) if gain), 0.0),
        "precision": sum(gains) / cut,
    }[name]


@pytest.mark.parametrize("cut", ranking.CUTS)
@pytest.mark.parametrize("name", ["ndcg", "recall", "hit_rate", "mrr", "precision"])
def test_a_measure_is_what_its_definition_says_of_each_user(name, cut):
    lists, held, found = made_up()
    slow = [by_hand(name, cut, [i for i in own if i >= 0], set(want)) for own, want in zip(lists, held, strict=True)]
    assert getattr(ranking, name)(cut)(found) == pytest.approx(slow)
    measure = ranking.measures(found)[f"{name}_at_{cut}"][1]
    assert measure(np.ones(len(held))) == pytest.approx(np.mean(slow))
    weights = np.random.default_rng(1).integers(0, 3, len(held)).astype(float)
    assert measure(weights) == pytest.approx(np.average(slow, weights=weights))


def test_ndcg_agrees_with_keras_rs_where_every_item_is_listed():
    import keras_rs

    draw = np.random.default_rng(3)
    scores, wanted = draw.normal(size=(30, 15)).astype(np.float32), (draw.random((30, 15)) < 0.3).astype(np.float32)
    wanted[wanted.sum(1) == 0, 0] = 1
    order = np.argsort(-scores, axis=1)
    held = [np.flatnonzero(row) for row in wanted]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in held])])
    found = ranking.ranking(order, (offsets, np.concatenate(held)), np.ones(15))
    theirs = keras_rs.metrics.NDCG(k=10)
    theirs.update_state(wanted, scores)
    assert ranking.ndcg(10)(found).mean() == pytest.approx(float(theirs.result()), abs=1e-5)


def test_a_user_with_fewer_targets_than_places_can_reach_one():
    found = ranking.ranking(np.array([[4, 1, 2]]), (np.array([0, 1]), np.array([4])), np.ones(5))
    assert ranking.ndcg(10)(found) == [1.0] and ranking.precision(10)(found) == [0.1]


def test_a_target_without_a_code_counts_as_missed():
    found = ranking.ranking(np.array([[0, 1]]), (np.array([0, 2]), np.array([0, -1])), np.ones(3))
    assert ranking.recall(5)(found) == [0.5] and found.relevant.tolist() == [2]


def test_coverage_and_gini_are_about_the_items_that_can_be_shown():
    bits = np.array([1.0, 1.0, 2.0, np.nan])
    found = ranking.ranking(np.array([[0, 1], [0, 2]]), (np.array([0, 1, 2]), np.array([0, 0])), bits)
    scores = {name: measure(np.ones(2)) for name, (_, measure) in ranking.measures(found).items()}
    assert scores["coverage_at_10"] == 1.0
    shares = np.array([1, 1, 2]) / 4
    slow = np.abs(shares[:, None] - shares[None, :]).sum() / (2 * 3 * shares.sum())
    assert scores["gini_at_10"] == pytest.approx(slow)
    assert scores["novelty_at_10"] == pytest.approx((1 + 1 + 1 + 2) / 4)


def test_lists_without_items_say_why_they_have_no_coverage():
    found = ranking.ranking(np.full((2, 3), -1), (np.array([0, 1, 2]), np.array([0, 0])), np.ones(2))
    assert ranking.measures(found)["coverage_at_10"][1] == "no list holds an item"
    assert ranking.measures(found)["ndcg_at_10"][1](np.ones(2)) == 0.0


def nothing_seen(users, items):
    return csr_array((users, items), dtype=np.float32)


def test_lists_hold_the_highest_scores_without_what_was_seen():
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(300, 50)).astype(np.float32)
    seen = csr_array((draw.random((300, 50)) < 0.4).astype(np.float32))
    allowed = draw.random(50) < 0.8
    codes, values = ranked_lists.lists(lambda users: scores[users].copy(), np.arange(300), seen, allowed, 30)
    for user in range(300):
        free = np.flatnonzero(allowed & (seen.toarray()[user] == 0))
        slow = free[np.argsort(-scores[user, free], kind="stable")][:30]
        assert codes[user, : len(slow)].tolist() == slow.tolist() and (codes[user, len(slow) :] == -1).all()
        assert values[user, : len(slow)].tolist() == scores[user, slow].tolist()


def test_equal_scores_are_listed_in_the_order_of_the_codes():
    constant, every = lambda users: np.zeros((len(users), 9), np.float32), np.ones(9, bool)
    codes, _ = ranked_lists.lists(constant, np.arange(2), nothing_seen(2, 9), every, 4)
    assert codes.tolist() == [[0, 1, 2, 3]] * 2


def test_the_short_way_by_popularity_gives_the_same_lists():
    draw = np.random.default_rng(5)
    counts = draw.integers(0, 6, 80)
    seen = csr_array((draw.random((200, 80)) < 0.5).astype(np.float32))
    allowed = draw.random(80) < 0.9
    users = np.arange(200)
    fast, _ = ranked_lists.by_popularity(counts, users, seen, allowed, 20)
    fame = counts.astype(np.float32)
    slow, _ = ranked_lists.lists(lambda own: np.tile(fame, (len(own), 1)), users, seen, allowed & (counts > 0), 20)
    assert fast.tolist() == slow.tolist()
    unknown, _ = ranked_lists.by_popularity(counts, np.array([-1]), seen, allowed, 20)
    assert unknown[0, 0] == next(i for i in np.lexsort((np.arange(80), -counts)) if allowed[i])


def test_drawn_rivals_hold_the_targets_and_nothing_that_was_seen():
    draw = np.random.default_rng(2)
    seen = csr_array((draw.random((5, 40)) < 0.3).astype(np.float32))
    held = (np.arange(6), np.array([int(np.flatnonzero(seen.toarray()[user] == 0)[0]) for user in range(5)]))
    only = ranked_lists.drawn(np.arange(5), held, seen, np.ones(40, bool), 10, seed=1).toarray()
    assert (only.sum(1) == 11).all() and only[np.arange(5), held[1]].all()
    assert not (only & (seen.toarray() > 0)).any()


def test_blocks_shrink_as_the_catalogue_grows():
    assert ranked_lists.step(1000) == 1024 and ranked_lists.step(1_000_000) == 32 and ranked_lists.step(1 << 30) == 1
    assert [len(rows) for rows in ranked_lists.blocks(2050, 1000)] == [1024, 1024, 2]
