"""Measures of heat maps: counts by level against slow exact ones, regions, ties, and what can't be computed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label
from sklearn.metrics import roc_auc_score

from horngate.pipelines.metrics.anomaly import pixels
from horngate.pipelines.statistics.intervals import bootstrap


def drawn(count=12, seed=0, strength=1.0):
    """Return pictures with smooth noise, and where every third one has none, defects that stand out by `strength`."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        height, width = 40 + 7 * (number % 3), 64
        mask = np.zeros((height, width), bool)
        for _ in range(number % 3):
            top, left = draw.integers(0, height - 10), draw.integers(0, width - 12)
            mask[top : top + draw.integers(2, 10), left : left + draw.integers(2, 12)] = True
        scores = gaussian_filter(draw.normal(size=mask.shape), 2) * 5 + strength * gaussian_filter(
            mask.astype(float), 1
        )
        made.append((scores, mask if mask.any() else None))
    return made


def exact_aupro(pictures, limit=0.3):
    """Return the area by every distinct score as a threshold, as slowly as it is defined."""
    normal = np.concatenate([scores[~mask] if mask is not None else scores.ravel() for scores, mask in pictures])
    regions = []
    for scores, mask in pictures:
        if mask is not None:
            named, count = label(mask, np.ones((3, 3)))
            regions += [scores[named == number] for number in range(1, count + 1)]
    thresholds = np.unique(np.concatenate([scores.ravel() for scores, _ in pictures]))[::-1]
    normal = np.sort(normal)
    across = [0.0, *(1 - np.searchsorted(normal, thresholds, side="left") / len(normal))]
    shares = [1 - np.searchsorted(np.sort(region), thresholds, side="left") / len(region) for region in regions]
    up = [0.0, *np.mean(shares, axis=0)]
    grid = np.linspace(0, limit, 200_001)
    return np.trapezoid(np.interp(grid, across, up), grid) / limit


def counts_of(pictures):
    everything = np.concatenate([scores.ravel() for scores, _ in pictures])
    return pixels.counted(pictures, pixels.edges_of(everything, len(pictures)))


@pytest.mark.parametrize("strength", [0.0, 1.0, 4.0])
def test_measures_from_counts_equal_the_exact_ones_of_all_pixels(strength):
    pictures = drawn(strength=strength)
    found = counts_of(pictures)
    truth = np.concatenate([(np.zeros_like(scores) if mask is None else mask).ravel() for scores, mask in pictures])
    scores = np.concatenate([scores.ravel() for scores, _ in pictures])
    ones = np.ones(len(pictures))
    assert pixels.pixel_auroc(found)(ones) == pytest.approx(roc_auc_score(truth > 0, scores), abs=2e-4)
    assert pixels.aupro(found)(ones) == pytest.approx(exact_aupro(pictures), abs=5e-4)


def test_a_small_defect_counts_as_much_as_a_large_one():
    mask = np.zeros((40, 40), bool)
    mask[2:4, 2:4] = mask[10:30, 10:30] = True
    found = counts_of([(np.where(mask & (np.arange(40) > 5), 1.0, 0.0), mask)])
    assert found.regions.tolist() == [2]
    assert pixels.aupro(found)(np.ones(1)) == pytest.approx(0.5 + 0.5 * 0.15, abs=1e-6)


def test_pixels_that_touch_at_a_corner_are_one_defect():
    assert counts_of([(np.zeros((20, 20)), np.eye(20, dtype=bool))]).regions.tolist() == [1]


def test_one_score_for_all_pixels_is_worth_a_guess():
    found = counts_of(drawn()).levelled()
    ones = np.ones(12)
    assert pixels.pixel_auroc(found)(ones) == pytest.approx(0.5)
    assert pixels.aupro(found)(ones) == pytest.approx(0.15)


def test_weights_of_pictures_are_as_good_as_copies_of_them():
    pictures = drawn(6)
    found = counts_of(pictures)
    twice = found.at(np.array([0, 1, 1, 2, 4, 4]))
    weights = np.array([1.0, 2, 1, 0, 2, 0])
    for measure in (pixels.pixel_auroc, pixels.aupro):
        assert measure(found)(weights) == pytest.approx(measure(twice)(np.ones(6)), rel=1e-6)
    low, high = bootstrap({"aupro": pixels.aupro(found)}, 6, draws=200)["aupro"]
    assert low < pixels.aupro(found)(np.ones(6)) < high


def test_a_picture_that_is_not_counted_changes_nothing():
    pictures = drawn(6)
    found, more = counts_of(pictures), counts_of(pictures)
    more = pixels.counted([*pictures, None], pixels.edges_of(np.concatenate([s.ravel() for s, _ in pictures]), 6))
    assert pixels.aupro(more)(np.ones(7)) == pixels.aupro(found)(np.ones(6))


def test_without_a_defect_there_is_a_reason_instead_of_a_number():
    found = counts_of([(np.random.default_rng(0).random((30, 30)), None)])
    assert [measure for _, measure in pixels.measures(found).values()] == ["no mask shows a defect"] * 2
    everywhere = counts_of([(np.zeros((9, 9)), np.ones((9, 9), bool))])
    assert "outside" in pixels.measures(everywhere)["aupro"][1]


def test_many_pictures_share_fewer_levels_so_that_memory_is_bounded():
    scores = np.random.default_rng(0).random(10_000)
    assert len(pixels.edges_of(scores, 10)) > 4000
    assert len(pixels.edges_of(scores, 50_000)) < 500
