"""Measures of series: VUS-PR equal to its authors' code, events, alarms, and intervals that know that rows hang together."""

import numpy as np
import pytest

from horngate.pipelines.metrics.anomaly import events, series
from horngate.pipelines.metrics.anomaly.events import Events, Timeline, threshold_for_alarms
from horngate.pipelines.metrics.anomaly.ranges import vus_pr
from horngate.pipelines.metrics.anomaly.series import Outcome, by_chance, measures, units_of
from horngate.pipelines.statistics.intervals import Uncomputable, bootstrap

# Made with the package vus 0.0.6 of the paper's authors, which is too heavy to be asked for here:
#   python -c "from vus.utils.metrics import metricor; print(metricor().RangeAUC_volume_opt(labels, scores, buffer)[-1])"
REFERENCES = [
    (0, 500, 20, [(50, 60), (300, 340)], 0.4493619355712807),
    (1, 3000, 100, [(100, 130), (180, 200), (2500, 2999)], 0.65261062309574),
    (2, 400, 30, [(0, 5), (10, 10), (399, 399)], 0.13872836180033288),
    (3, 300, 10, [(100, 102)], 0.03959828150549445),
]


def example(seed, rows, ranges):
    draw, labels = np.random.default_rng(seed), np.zeros(rows, int)
    for first, last in ranges:
        labels[first : last + 1] = 1
    scores = draw.normal(size=rows) + 1.5 * np.convolve(labels, np.ones(9) / 9, "same")
    return labels > 0, np.round(scores, 1) if seed == 3 else scores


def outcome(targets, scores, chosen, numbers=None, seconds=None):
    numbers = np.zeros(len(targets), np.int64) if numbers is None else np.array(numbers)
    seconds = np.arange(len(targets)) * 60.0 if seconds is None else np.array(seconds, float)
    targets, chosen = np.array(targets, np.float32), np.array(chosen, bool)
    return Outcome(np.array(scores, float), targets, chosen, numbers, seconds, *units_of(numbers))


@pytest.mark.parametrize(("seed", "rows", "buffer", "ranges", "expected"), REFERENCES)
def test_vus_pr_is_that_of_its_authors(seed, rows, buffer, ranges, expected):
    labels, scores = example(seed, rows, ranges)
    one = np.zeros(rows, np.int64)
    assert vus_pr(labels, scores, one, one, buffer)(np.ones(rows)) == pytest.approx(expected, abs=1e-12)
    in_blocks = vus_pr(labels, scores, one, np.arange(rows) // 50, buffer)
    assert in_blocks(np.ones(rows)) == pytest.approx(expected, abs=1e-12)


def test_vus_pr_is_averaged_over_the_series_that_have_events():
    labels, scores = example(0, 500, [(50, 60), (300, 340)])
    quiet = np.zeros(200, bool)
    both = np.concatenate([labels, quiet, labels])
    names = np.repeat([0, 1, 2], [500, 200, 500])
    measure = vus_pr(both, np.concatenate([scores, scores[:200], -scores]), names, names, 20)
    alone = [vus_pr(labels, sign * scores, names[:500], names[:500], 20)(np.ones(500)) for sign in (1, -1)]
    assert measure(np.ones(1200)) == pytest.approx(np.mean(alone))
    assert measure((names < 2).astype(float)) == pytest.approx(alone[0])
    with pytest.raises(Uncomputable, match="anomalous and other"):
        vus_pr(quiet, scores[:200], names[500:700], names[500:700])


def test_drawing_a_block_twice_is_as_good_as_having_it_twice():
    labels, scores = example(1, 3000, [(100, 130), (180, 200), (2500, 2999)])
    one, blocks = np.zeros(3000, np.int64), np.arange(3000) // 1000
    measure, doubled = vus_pr(labels, scores, one, blocks, 0), np.array([1.0, 2.0, 1.0])[blocks]
    rows = np.repeat(np.arange(3000), doubled.astype(int))
    again = vus_pr(labels[rows], scores[rows], one[:1].repeat(4000), one[:1].repeat(4000), 0)(np.ones(4000))
    assert measure(doubled) == pytest.approx(again, abs=0.01)  # thresholds are cut by rank, so not exactly


def test_an_event_is_found_by_one_flag_and_an_alarm_is_false_if_it_touches_none():
    targets = [0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    chosen = [1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1]
    found = {name: measure(np.ones(12)) for name, (_, measure) in measures(outcome(targets, chosen, chosen)).items()}
    assert found["event_f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 3))
    assert found["f1"] == pytest.approx(2 * 1 / (6 + 5))
    assert found["detection_delay"] == pytest.approx((120 + 60) / 2)  # the missed one counts with its whole length
    assert found["false_alarms_per_day"] == pytest.approx(3 / (12 * 60 / 86_400))


def test_alarms_of_two_series_that_touch_are_two():
    numbers = [0, 0, 0, 1, 1, 1]
    said = outcome([0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], numbers)
    assert said.events.events.tolist() == said.events.alarms.tolist() == [[2, 2], [3, 3]]


def test_rows_of_series_that_take_turns_are_measured_as_if_they_stood_together():
    draw = np.random.default_rng(0)
    targets = (np.arange(240) // 20 % 4 == 3).astype(float)
    scores, numbers = draw.normal(size=240) + targets, np.repeat([0, 1], 120)
    turns = np.argsort(np.tile(np.arange(120), 2), kind="stable")
    seconds = np.tile(np.arange(120) * 60.0, 2)
    apart = outcome(targets, scores, scores > 1, numbers, seconds)
    mixed = outcome(targets[turns], scores[turns], scores[turns] > 1, numbers[turns], seconds[turns])
    weights = draw.integers(0, 3, 240).astype(float)
    for (name, (_, one)), (_, other) in zip(measures(apart).items(), measures(mixed).values(), strict=True):
        if name != "vus_pr":
            assert one(weights) == pytest.approx(other(weights[turns])), name
        assert one(np.ones(240)) == pytest.approx(other(np.ones(240))), name


def test_a_gap_takes_no_time():
    timeline = Timeline.of(np.zeros(5, int), np.array([0.0, 60, 120, 100_000, 100_060]))
    assert timeline.spans.tolist() == [60, 60, 60, 60, 60]


def test_the_budget_of_alarms_is_kept_by_every_higher_threshold():
    draw = np.random.default_rng(0)
    scores, numbers = draw.normal(size=4000).cumsum() / 20 + draw.normal(size=4000), np.repeat([0, 1], 2000)
    timeline = Timeline.of(numbers, np.tile(np.arange(2000) * 300.0, 2))
    days = timeline.spans.sum() / events.DAY
    threshold = threshold_for_alarms(timeline, scores, 2.0)
    counts = {cut: len(timeline.runs(scores >= cut)) / days for cut in (threshold, *np.quantile(scores, [0.99, 0.999]))}
    assert counts[threshold] <= 2.0 and all(count <= 2.0 for cut, count in counts.items() if cut >= threshold)
    lower = np.sort(scores)[np.searchsorted(np.sort(scores), threshold) - 1]
    assert len(timeline.runs(scores >= lower)) / days > 2.0
    assert not (scores >= threshold_for_alarms(timeline, scores, 0.0)).any()


def test_alarms_at_random_are_worth_little():
    targets = np.zeros(2000)
    targets[400:450] = targets[1500:1600] = 1
    said = outcome(targets, targets, targets > 0)
    right, guessed = ({name: measure(np.ones(2000)) for name, (_, measure) in measures(one).items()}
                      for one in (said, by_chance(said)))  # fmt: skip
    assert right["vus_pr"] > 0.9 and right["f1"] == right["event_f1"] == 1.0 and right["detection_delay"] == 0
    assert guessed["vus_pr"] < 0.2 and guessed["f1"] < 0.2 and guessed["event_f1"] < 0.2


def test_what_nobody_labelled_has_reasons_instead_of_scores():
    found = measures(outcome([np.nan] * 30, np.arange(30), [False] * 30))
    assert {measure for _, measure in found.values()} == {"no row has a target", "no row is a known anomaly"}
    quiet = measures(outcome([0] * 30, np.arange(30), [False] * 29 + [True]))
    assert quiet["false_alarms_per_day"][1](np.ones(30)) == pytest.approx(48)
    assert "event" in quiet["event_f1"][1] and "anomalous" in quiet["vus_pr"][1]


def test_few_series_are_drawn_in_blocks_and_many_whole():
    units, drawn = units_of(np.repeat(np.arange(12), 30))
    assert drawn == "series" and len(np.unique(units)) == 12
    units, drawn = units_of(np.repeat([0, 1], [400, 15]))
    assert "blocks" in drawn and len(np.unique(units[:400])) == 20 and len(np.unique(units[400:])) == 1
    assert (np.diff(units) >= 0).all()


def test_blocks_give_wider_intervals_than_rows_where_neighbours_are_alike():
    draw = np.random.default_rng(0)
    alike = np.repeat(draw.normal(size=100), 20)
    said = outcome(np.repeat(draw.random(100) < 0.2, 20), alike, alike > 1)
    measure = {"f1": series.f1(said)}
    rows, blocks = (bootstrap(measure, 2000, units, 200)["f1"] for units in (None, said.units))
    assert blocks[1] - blocks[0] > 1.5 * (rows[1] - rows[0])


def test_events_say_when_they_were_found_first():
    timeline = Timeline.of(np.zeros(8, int), np.arange(8) * 10.0)
    found = Events(timeline, np.array([0, 1, 1, 1, 0, 0, 1, 1], bool), np.array([0, 0, 1, 1, 0, 0, 0, 0], bool))
    assert found.delays.tolist() == [10.0, 10.0] and found.found.tolist() == [True, False]
