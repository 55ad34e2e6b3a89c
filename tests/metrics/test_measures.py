"""Measures: equal to scikit-learn's, with weights too, and intervals that cover what they should."""

import numpy as np
import pytest
from sklearn import metrics as sk

from horngate.pipelines.metrics import classification
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import calibration, conformal, intervals, thresholds
from horngate.pipelines.statistics.intervals import Uncomputable, bootstrap, flawless, numbered
from horngate.pipelines.statistics.slices import slices_of, worth_slicing


def outcome(rows=400, classes=4, seed=0, ties=False):
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, rows)
    logits = draw.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = np.round(scores, 1) if ties else scores
    positive = 1 if classes == 2 else None
    return Outcome(
        np.eye(classes, dtype=np.float32)[truth], scores.astype(np.float32), scores.argmax(1), positive
    ), truth


def weights_of(rows, seed=3):
    return np.random.default_rng(seed).integers(0, 4, rows).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_classes_agree_with_scikit_learn(weighted):
    found, truth = outcome()
    weights = weights_of(400) if weighted else np.ones(400)
    value = {name: MEASURES[name].prepare(found)(weights) for name in ("accuracy", "macro_f1", "log_loss")}
    scores = found.scores.astype(np.float64) / found.scores.sum(1, keepdims=True)
    assert value["accuracy"] == pytest.approx(sk.accuracy_score(truth, found.chosen, sample_weight=weights))
    assert value["macro_f1"] == pytest.approx(sk.f1_score(truth, found.chosen, average="macro", sample_weight=weights))
    assert value["log_loss"] == pytest.approx(sk.log_loss(truth, scores, sample_weight=weights), rel=1e-5)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_agree_with_scikit_learn(weighted, ties):
    found, truth = outcome(classes=2, ties=ties)
    weights = weights_of(400) if weighted else np.ones(400)
    said = found.scores[:, 1]
    value = {name: MEASURES[name].prepare(found)(weights) for name in classification.TWO_CLASSES}
    assert value["auroc"] == pytest.approx(sk.roc_auc_score(truth, said, sample_weight=weights))
    assert value["average_precision"] == pytest.approx(sk.average_precision_score(truth, said, sample_weight=weights))
    assert value["brier"] == pytest.approx(
        sk.brier_score_loss(truth, np.clip(said, 0, 1), sample_weight=weights), rel=1e-6
    )


def test_several_labels_agree_with_scikit_learn():
    draw = np.random.default_rng(0)
    targets = (draw.random((300, 5)) < 0.3).astype(np.float32)
    scores = np.clip(targets * 0.3 + draw.random((300, 5)) * 0.7, 0, 1).astype(np.float32)
    found, weights = Outcome(targets, scores, scores >= 0.5), weights_of(300)
    value = {name: MEASURES[name].prepare(found)(weights) for name in classification.SEVERAL}
    assert value["macro_average_precision"] == pytest.approx(
        sk.average_precision_score(targets, scores, sample_weight=weights)
    )
    assert value["micro_f1"] == pytest.approx(
        sk.f1_score(targets, scores >= 0.5, average="micro", sample_weight=weights)
    )


def test_calibration_error_is_that_of_the_definition():
    found, truth = outcome()
    confidence, right = found.scores.max(1), found.scores.argmax(1) == truth
    bins = np.minimum((confidence * 15).astype(int), 14)
    wanted = sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    assert MEASURES["ece"].prepare(found)(np.ones(400)) == pytest.approx(wanted, rel=1e-5)


def test_one_class_cannot_be_ranked_and_says_so():
    found, _ = outcome(classes=2)
    only = found.at(np.flatnonzero(found.targets[:, 1] > 0))
    with pytest.raises(Uncomputable, match="one class"):
        MEASURES["auroc"].prepare(only)


def test_an_unlearnt_label_counts_as_wrong():
    found = Outcome(
        np.array([[1, 0], [0, 0]], np.float32), np.array([[0.9, 0.1], [0.8, 0.2]], np.float32), np.array([0, 0])
    )
    assert MEASURES["accuracy"].prepare(found)(np.ones(2)) == 0.5
    assert MEASURES["log_loss"].prepare(found)(np.ones(2)) > 7
    assert classification.confusion(found).tolist() == [[1, 0], [0, 0]]


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(1)
    hits = 0
    for trial in range(100):
        right = (draw.random(200) < 0.8).astype(float)
        low, high = bootstrap({"a": lambda w, right=right: (w @ right) / w.sum()}, 200, draws=300, seed=trial)["a"]
        hits += low <= 0.8 <= high
    assert 88 <= hits <= 100


def test_groups_widen_intervals_where_rows_of_a_group_agree():
    right = np.repeat((np.random.default_rng(0).random(40) < 0.7).astype(float), 25)
    measure = {"a": lambda w: (w @ right) / w.sum()}
    rows = bootstrap(measure, 1000, draws=300)["a"]
    groups = bootstrap(measure, 1000, np.repeat(np.arange(40), 25), draws=300)["a"]
    assert groups[1] - groups[0] > 3 * (rows[1] - rows[0])
    assert bootstrap(measure, 1000, np.zeros(1000, int))["a"] is None


def test_draws_side_by_side_are_those_of_one_thread(monkeypatch):
    found, _ = outcome(rows=300)
    measures = {name: MEASURES[name].prepare(found) for name in ("accuracy", "ece", "log_loss")}
    groups, drawn = np.arange(300) // 3, []
    for seconds in (0.0, 1e9):  # each draw takes longer, each takes less
        monkeypatch.setattr(intervals, "COSTLY", seconds)
        drawn.append(intervals.resampled(measures, 300, groups, draws=60))
    assert drawn[0].shape == (60, 3) and np.array_equal(*drawn) and len(np.unique(drawn[0][:, 0])) > 10


def test_a_calibration_error_lies_in_its_interval_though_resampling_raises_it():
    found, _ = outcome(rows=300)
    measure = {"ece": MEASURES["ece"].prepare(found)}
    value = measure["ece"](np.ones(300))
    plain, shifted = bootstrap(measure, 300)["ece"], bootstrap(measure, 300, around={"ece": value})["ece"]
    assert shifted[0] <= value <= shifted[1] and shifted[0] < plain[0] and MEASURES["ece"].raised


def test_a_flawless_score_still_has_an_interval():
    low, high = flawless(1.0, 180)
    assert high == 1.0 and low == pytest.approx(0.9797, abs=1e-4)
    assert flawless(0.0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))


def test_group_numbers_leave_rows_without_group_alone():
    assert numbered([None, None]) is None
    numbers = numbered(["a", None, "a", None])
    assert numbers[0] == numbers[2] and len(set(numbers.tolist())) == 3


def test_temperature_finds_what_was_hidden():
    found, _ = outcome(rows=4000)
    sharp = calibration.at_temperature(found.scores, 0.4, several=False)
    temperature = calibration.fitted_temperature(Outcome(found.targets, sharp.astype(np.float32), found.chosen))
    before = calibration.fitted_temperature(found)
    assert temperature == pytest.approx(before / 0.4, rel=0.05)
    assert np.allclose(
        calibration.at_temperature(sharp, 1 / 0.4, False), found.scores, atol=2e-3
    )  # tiny scores are clipped
    assert calibration.fitted_temperature(found.at(np.arange(10))) == 1.0


@pytest.mark.parametrize("several", [False, True])
def test_rows_that_are_all_right_ask_for_no_certainty(several):
    rng = np.random.default_rng(0)
    targets = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 200)]
    scores = (0.7 * targets + 0.1).astype(np.float32)  # 0.8 for the right class, 0.1 for each other one
    outcome = Outcome(targets, scores, scores > 0.5 if several else scores.argmax(1))
    scaled = calibration.at_temperature(scores, calibration.fitted_temperature(outcome), several)
    assert 0.97 < scaled.max(1).mean() < 1 - 1 / 210


def test_thresholds_reach_the_wish_on_the_rows_they_were_chosen_on():
    found, truth = outcome(classes=2, rows=500)
    positive, said = truth == 1, found.scores[:, 1]
    for wish in (0.5, 0.9, 1.0):
        point = thresholds.rates_at(positive, said, thresholds.threshold_for(positive, said, wish, None))
        assert wish <= point["sensitivity"] <= wish + 0.01
        point = thresholds.rates_at(positive, said, thresholds.threshold_for(positive, said, None, wish))
        assert wish <= point["specificity"] <= wish + 0.01
        for wishes in ((wish, None), (None, wish)):
            chosen = thresholds.threshold_for(positive, said, *wishes)
            assert np.array_equal(said >= chosen, said + np.float32(1e-7) >= chosen)
            assert np.array_equal(said >= chosen, said - np.float32(1e-7) >= chosen)
    with pytest.raises(UserError, match="both classes"):
        thresholds.threshold_for(np.ones(5, bool), said[:5], 0.9, None)


def test_conformal_sets_cover_as_often_as_asked():
    found, truth = outcome(rows=4000)
    half = np.arange(2000)
    quantile = conformal.fitted_quantile(found.targets[half], found.scores[half], 0.9)
    kept = found.scores[2000:] >= 1 - quantile
    assert kept[np.arange(2000), truth[2000:]].mean() == pytest.approx(0.9, abs=0.02)
    with pytest.raises(UserError, match="at least 99 validation rows"):
        conformal.fitted_quantile(found.targets[:50], found.scores[:50], 0.99)


def test_slices_are_values_or_quarters_or_the_largest():
    assert {value: rows.tolist() for value, rows in slices_of(["a", None, "a"])} == {"a": [0, 2], "(none)": [1]}
    quarters = dict(slices_of([str(number) for number in range(100)]))
    assert [len(rows) for rows in quarters.values()] == [25, 25, 25, 25]
    assert len(dict(slices_of([f"n{number}" for number in range(100)]))) == 20
    assert worth_slicing(["a", "b"]) and not worth_slicing(["a"]) and not worth_slicing([str(n) for n in range(30)])


def test_an_interval_of_a_share_stays_between_0_and_1():
    shown = np.arange(40) % 20  # nearly all of what can be shown is shown

    def covered(weights):
        return float(np.count_nonzero(np.bincount(shown, weights, minlength=20)) / 20)

    low, high = bootstrap({"coverage": covered}, 40, around={"coverage": 1.0})["coverage"]
    assert 0.8 < low < 1.0 and high == 1.0
