"""Measures of anomaly detection, p-values and thresholds: known answers, ties, and rows whose truth nobody knows."""

from dataclasses import replace

import numpy as np
import pytest

from horngate.pipelines.anomaly import Table
from horngate.pipelines.metrics.anomaly import detection
from horngate.pipelines.metrics.anomaly.detection import Outcome
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.p_values import best_f1, p_values, threshold_at
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms


def outcome(rows: int = 300, seed: int = 0, decimals: int = 1) -> Outcome:
    """Return rows of which a tenth are anomalies that tend to score higher, with many ties."""
    draw = np.random.default_rng(seed)
    targets = (draw.random(rows) < 0.1).astype(np.float32)
    targets[:2] = 0, 1
    return Outcome((draw.normal(size=rows) + targets).round(decimals), targets, np.zeros(rows, bool))


def values_of(found: Outcome, weights: np.ndarray | None = None) -> dict[str, float]:
    weights = np.ones(len(found.scores)) if weights is None else weights
    return {name: measure(weights) for name, (_, measure) in detection.measures(found).items()}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_measures_are_those_of_scikit_learn(seed):
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    found = outcome(seed=seed)
    values = values_of(found)
    assert values["auroc"] == pytest.approx(roc_auc_score(found.targets, found.scores))
    assert values["average_precision"] == pytest.approx(average_precision_score(found.targets, found.scores))
    false, true, _ = roc_curve(found.targets, found.scores, drop_intermediate=False)
    assert values["recall_at_fpr_01"] == pytest.approx(np.interp(0.01, false[1:], true[1:]), abs=0.05)


def test_precision_at_n_and_recall_at_one_percent_on_a_list_that_can_be_counted():
    targets = np.zeros(204, np.float32)
    targets[[0, 1, 4, 9]] = 1  # places from the top: two anomalies, two normal rows, one anomaly, …
    found = Outcome(-np.arange(204.0), targets, np.zeros(204, bool))
    values = values_of(found)
    assert values["precision_at_n"] == 0.5  # two of the first four
    assert values["recall_at_fpr_01"] == 0.75  # two false alarms of 200 are allowed: the third anomaly is still found


def test_rows_that_tie_count_in_part_wherever_they_stand():
    targets = np.array([1, 0, 0, 0] * 50, np.float32)
    values = values_of(Outcome(np.zeros(200), targets, np.zeros(200, bool)))
    assert values == pytest.approx(
        {"auroc": 0.5, "average_precision": 0.25, "precision_at_n": 0.25, "recall_at_fpr_01": 0.01}
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_a_weight_counts_as_that_many_equal_rows(seed):
    found = outcome(seed=seed)
    counts = np.bincount(np.random.default_rng(seed).integers(0, 300, 300), minlength=300)
    again = found.at(np.repeat(np.arange(300), counts))
    assert values_of(found, counts.astype(float)) == pytest.approx(values_of(again))


def test_rows_without_a_target_change_no_measure():
    found = outcome()
    more = Outcome(
        np.append(found.scores, [9.0, -9.0]),
        np.append(found.targets, [np.nan, np.nan]).astype(np.float32),
        np.zeros(302),
    )
    assert values_of(more) == pytest.approx(values_of(found))


def test_what_cannot_be_measured_says_why():
    scores = np.arange(4.0)
    for targets, why in (
        ([np.nan] * 4, "no row has a target"),
        ([0.0] * 4, "no row is a known anomaly"),
        ([1.0] * 4, "anomalies"),
    ):
        found = detection.measures(Outcome(scores, np.array(targets, np.float32), scores > 9))
        assert all(isinstance(measure, str) and why in measure for _, measure in found.values())


def test_p_values_of_rows_like_the_held_out_ones_are_even():
    draw = np.random.default_rng(0)
    found = p_values(draw.normal(size=20_000), np.sort(draw.normal(size=999)))
    for level in (0.01, 0.05, 0.5):
        assert (found <= level).mean() == pytest.approx(level, abs=0.03)
    assert found.min() >= 1 / 1000


def test_a_p_value_counts_the_held_out_rows_that_are_as_strange():
    assert p_values(np.array([5.0, 3.0, 0.0]), np.array([1.0, 2.0, 3.0])).tolist() == [1 / 4, 2 / 4, 1.0]


@pytest.mark.parametrize("share", [0.0, 0.04, 0.05, 0.5, 1.0])
def test_no_more_than_the_wished_share_reaches_a_threshold(share):
    for held in (np.arange(20.0), np.sort(np.random.default_rng(1).normal(size=200).round(1)), np.ones(30)):
        threshold = threshold_at(held, share)
        reached = (held >= threshold).mean()
        assert reached <= share
        assert threshold not in held
        if share in (0.05, 0.5) and len(np.unique(held)) == len(held):
            assert reached == share


def test_the_threshold_by_f1_is_the_best_of_all():
    found = outcome(seed=3)
    threshold, f1 = best_f1(found.targets == 1, found.scores)
    tried = [detection.rates_at(found, value)["f1"] for value in (*np.unique(found.scores), threshold)]
    assert f1 == pytest.approx(max(tried)) == pytest.approx(tried[-1])
    assert threshold not in found.scores


def test_names_of_targets_say_which_are_anomalies_or_the_user_does():
    card = Table()
    assert Alarms.named(["benign", None, "malignant"], card).anomalous == ("malignant",)
    assert Alarms.named(["anomaly", "normal"], card).anomalous == ("anomaly",)
    assert Alarms.named(["good", "scratch", "hole"], card).anomalous == ("hole", "scratch")
    assert Alarms.named(["1", "0", "1"], card).anomalous == ("1",)
    assert Alarms.named(["a", "b"], replace(card, positive="a")).normal == ("b",)
    assert Alarms.named(["a", "b", "c"], replace(card, normal="b")).anomalous == ("a", "c")
    assert Alarms.named([None, None], card) == Alarms()
    with pytest.raises(UserError, match="--positive"):
        Alarms.named(["a", "b"], card)
    with pytest.raises(UserError, match="Did you mean"):
        Alarms.named(["malignant", "benign"], replace(card, positive="malignat"))


def test_a_threshold_comes_from_the_wish_else_from_labels_else_from_usual_rows():
    scores, truth = np.arange(100.0), np.r_[np.zeros(90), np.ones(10)].astype(np.float32)
    alarms = Alarms.named(["0", "1"], Table())
    assert alarms.decided(scores, truth, Table(contamination=0.2)).raised(scores).sum() == 20
    assert alarms.decided(scores, truth, Table(false_alarm_rate=0.1)).raised(scores[:90]).sum() == 9
    by_labels = alarms.decided(scores, truth, Table())
    assert by_labels.raised(scores).sum() == 10 and "F1" in by_labels.chosen_by
    unlabelled = alarms.decided(scores, np.full(100, np.nan, np.float32), Table())
    assert unlabelled.raised(scores).sum() == 5 and len(unlabelled.held) == 100
    assert max(by_labels.held) == 89  # known anomalies are no yardstick of p-values
    with pytest.raises(UserError, match="not both"):
        alarms.decided(scores, truth, Table(contamination=0.2, false_alarm_rate=0.1))
    with pytest.raises(UserError, match="--validation"):
        alarms.decided(scores[90:], truth[90:], Table())
