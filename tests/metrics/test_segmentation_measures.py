"""Measures of masks: against slow exact versions, with spacing, and with nothing to measure."""

import numpy as np
import pytest

from horngate.pipelines.metrics import segmentation
from horngate.pipelines.metrics.segmentation import Cases, compared, measures, nothing_said, per_class
from horngate.pipelines.metrics.surfaces import border, border_distances, hausdorff, within


def cases_of(*parts: dict, classes: int = 2, spaced: bool = True) -> Cases:
    counts = np.array([part["counts"] for part in parts], np.int64).reshape(len(parts), classes, classes)
    columns = (np.array([part[name] for part in parts], float) for name in ("hd95", "surface_dice", "diagonal"))
    return Cases(counts, *columns, np.full(len(parts), spaced))


def values_of(cases: Cases) -> dict[str, float]:
    found = measures(cases)
    return {name: measure(np.ones(len(cases))) for name, (_, measure) in found.items() if not isinstance(measure, str)}


def slow_border(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Return the places of a mask with a neighbour along an axis that isn't in it, looked at one by one."""
    found = []
    for place in np.ndindex(mask.shape):
        if not mask[place]:
            continue
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                outside = not 0 <= other[axis] < mask.shape[axis]
                if outside or not mask[tuple(other)]:
                    found.append(place)
    return sorted(set(found))


def slow_distances(first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return border distances by looking at all pairs of places."""
    one, other = (np.array(slow_border(mask), float) * spacing for mask in (first, second))
    apart = np.sqrt(((one[:, None] - other[None]) ** 2).sum(-1))
    return apart.min(1), apart.min(0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.5), (3.0, 0.7, 1.3)])
def test_border_distances_equal_those_of_all_pairs(spacing):
    draw = np.random.default_rng(len(spacing))
    shape = (17, 23) if len(spacing) == 2 else (6, 9, 11)
    for density in (0.02, 0.3, 0.9):
        first, second = draw.random(shape) < density, draw.random(shape) < density
        first.flat[0] = second.flat[-1] = True
        fast, slow = border_distances(first, second, spacing), slow_distances(first, second, spacing)
        assert [tuple(place) for place in np.argwhere(border(first))] == slow_border(first)
        for ours, exact in zip(fast, slow, strict=True):
            assert np.allclose(ours, exact)
        percentiles = [np.percentile(part, 95) for part in slow]
        assert hausdorff(*fast) == pytest.approx(max(percentiles))
        near = np.concatenate(slow) <= 2.0
        assert within(*fast, 2.0) == pytest.approx(near.mean())


def test_spacing_decides_how_far_a_shifted_square_is_off():
    truth = np.zeros((40, 40), np.uint8)
    truth[10:20, 10:20] = 1
    said = np.roll(truth, 3, axis=1)
    narrow, wide = (compared(truth, said, 2, (1.0, step), 2.0) for step in (0.5, 4.0))
    assert (narrow["hd95"][1], wide["hd95"][1]) == (1.5, 12.0)
    assert narrow["surface_dice"][1] == 1.0 > wide["surface_dice"][1]
    assert np.isnan(narrow["hd95"][0])


def test_dice_iou_volume_and_accuracy_are_those_of_the_definitions():
    truth, said = np.zeros((2, 10, 10), np.uint8)
    truth[:4], said[2:8] = 1, 1
    found = values_of(cases_of(compared(truth, said, 2, None, 1.0), spaced=False))
    assert found["dice"] == pytest.approx(2 * 20 / (40 + 60))
    assert found["iou"] == pytest.approx(20 / 80)
    assert found["volume_error"] == pytest.approx(20 / 40)
    assert found["pixel_accuracy"] == pytest.approx(0.4)
    assert measures(cases_of(compared(truth, said, 2, None, 1.0), spaced=False))["hd95"][0].unit == "pixels"


def test_the_rule_of_empty_masks_holds():
    empty, square = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    square[5:10, 5:10] = 1
    nothing, missed, made_up, right = (
        compared(*pair, 2, (1.0, 1.0), 1.0)
        for pair in ((empty, empty), (square, empty), (empty, square), (square, square))
    )
    assert np.isnan(segmentation.by_case(segmentation.dice(cases_of(nothing)))[0])
    for part in (missed, made_up):
        assert (part["hd95"][1], part["surface_dice"][1]) == (50.0, 0.0)
        assert values_of(cases_of(part))["dice"] == 0.0
    found = values_of(cases_of(nothing, missed, right))
    assert found["dice"] == 0.5 and found["hd95"] == 25.0 and found["surface_dice"] == 0.5
    assert "no case has a class" in measures(cases_of(nothing))["dice"][1]
    (row,) = per_class(cases_of(nothing, missed, made_up, right), ("rest", "lesion"))
    assert (row["cases"], row["missed"], row["made_up"]) == (2, 1, 1)


def test_unlabelled_pixels_count_nowhere():
    truth = np.full((8, 8), 255, np.uint8)
    truth[:4], truth[:2] = 0, 1
    said = np.ones((8, 8), np.uint8)
    found = compared(truth, said, 2, None, 1.0)
    assert sum(found["counts"]) == 32
    assert values_of(cases_of(found, spaced=False))["dice"] == pytest.approx(2 * 16 / (16 + 32))


def test_a_case_is_the_mean_of_its_classes_and_weights_are_of_cases():
    truth, said = np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8)
    truth[:6, :6], truth[6:, 6:] = 1, 2
    said[:6, :6] = 1
    half = compared(truth, said, 3, None, 1.0)
    whole = compared(truth, truth, 3, None, 1.0)
    measure = measures(cases_of(half, whole, classes=3))["dice"][1]
    assert measure(np.ones(2)) == pytest.approx(0.75)
    assert measure(np.array([3.0, 1.0])) == pytest.approx(0.625)
    assert np.isnan(measure(np.zeros(2)))


def test_saying_nothing_scores_what_an_empty_answer_would():
    draw = np.random.default_rng(0)
    truths = [(draw.random((20, 20)) < share).astype(np.uint8) for share in (0.1, 0.0, 0.4)]
    answered = cases_of(*(compared(truth, np.roll(truth, 2, 0), 2, (2.0, 1.0), 1.0) for truth in truths))
    empty = cases_of(*(compared(truth, np.zeros_like(truth), 2, (2.0, 1.0), 1.0) for truth in truths))
    guessed = nothing_said(answered)
    assert values_of(guessed) == values_of(empty)
    assert np.array_equal(guessed.counts, empty.counts)


def test_distances_of_unlike_units_are_not_averaged():
    square = np.zeros((9, 9), np.uint8)
    square[2:5, 2:5] = 1
    mixed = cases_of(*[compared(square, square, 2, None, 1.0)] * 2)
    mixed = Cases(
        *(getattr(mixed, name) for name in ("counts", "hd95", "surface_dice", "diagonals")), np.array([True, False])
    )
    assert "no common unit" in measures(mixed)["hd95"][1]
    assert values_of(mixed)["dice"] == 1.0
