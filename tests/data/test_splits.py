"""Splits: given ones are kept, groups stay whole, shares and strata come out, and old rows never move."""

import numpy as np
import pyarrow as pa
import pytest

from horngate.pipelines.data.duplicates import find, merged
from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.data.splits import assign
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.vision import Classify


def rows(count, classes=3, split=None, **columns):
    targets = [f"c{number % classes}" for number in range(count)]
    return block({"id": [f"r{number}" for number in range(count)], "target": targets, "split": split} | columns)


def shares(splits):
    return {name: float(np.mean(splits == name)) for name in ("train", "validation", "test")}


def test_shares_and_strata_come_out():
    table = rows(1000, classes=4)
    splits, _ = assign(table, np.arange(1000), Classify())
    assert shares(splits) == {"train": 0.8, "validation": 0.1, "test": 0.1}
    targets = np.array(table["target"].to_pylist())
    assert all(np.sum(targets[splits == "test"] == name) == 25 for name in set(targets))


def test_the_seed_decides_and_repeats():
    table = rows(200)
    draw = [assign(table, np.arange(200), Classify(seed=seed))[0].tolist() for seed in (0, 0, 1)]
    assert draw[0] == draw[1] != draw[2]


@pytest.mark.parametrize("size", [2, 3, 20])
def test_no_group_is_torn(size):
    table = rows(600)
    groups = np.arange(600) // size
    splits, _ = assign(table, groups, Classify())
    assert all(len(set(splits[groups == group])) == 1 for group in range(groups.max() + 1))
    found = shares(splits)
    assert abs(found["test"] - 0.1) < 0.05 and abs(found["validation"] - 0.1) < 0.05 and min(found.values()) > 0


def test_given_splits_are_kept_and_validation_comes_from_train_only():
    given = ["test" if number % 5 == 0 else "train" for number in range(500)]
    splits, _ = assign(rows(500, split=given), np.arange(500), Classify())
    assert [name == "test" for name in splits] == [name == "test" for name in given]
    assert np.sum(splits == "validation") == 40


def test_few_groups_still_give_every_split_one():
    splits, _ = assign(rows(30), np.arange(30) // 10, Classify())
    assert sorted(shares(splits).values()) == pytest.approx([1 / 3] * 3)
    with pytest.raises(UserError, match="belong together"):
        assign(rows(30), np.zeros(30, int), Classify())


def test_a_class_of_one_row_is_no_obstacle():
    table = rows(50, classes=2)
    targets = table["target"].to_pylist()
    targets[7] = "alone"
    table = table.set_column(3, "target", pa.array(targets))
    splits, _ = assign(table, np.arange(50), Classify())
    assert set(splits) == {"train", "validation", "test"}


@pytest.mark.parametrize("labels", [["normal"] * 60 + ["broken"], ["a"] * 15 + ["b"] * 3 + ["c"] * 3 + ["d"]])
def test_a_class_is_never_drawn_out_of_training_whole(labels):
    table = block({"id": [f"r{number}" for number in range(len(labels))], "target": labels})
    for seed in range(40):
        splits, _ = assign(table, np.arange(len(labels)), Classify(seed=seed))
        assert set(labels) == set(np.array(labels)[splits == "train"])
        assert {"validation", "test"} <= set(splits)


def test_a_zero_share_sets_nothing_aside():
    splits, _ = assign(rows(50), np.arange(50), Classify(test=0.0, validation=0.2))
    assert set(splits) == {"train", "validation"}


def old_table(table, splits):
    return pa.table({"id": table["id"], "split": pa.array(splits, pa.string())})


def test_growing_data_moves_no_old_row():
    table = rows(400)
    splits, _ = assign(table, np.arange(400), Classify())
    grown = rows(440)
    again, notes = assign(grown, np.arange(440), Classify(seed=5), old_table(table, splits))
    assert again[:400].tolist() == splits.tolist()
    assert set(again[400:]) == {"train", "validation", "test"} and "400 of 440" in notes[0]


def test_a_new_row_follows_its_group_and_ties_are_reported():
    table = rows(100)
    splits, _ = assign(table, np.arange(100), Classify())
    test, train = int(np.flatnonzero(splits == "test")[0]), int(np.flatnonzero(splits == "train")[0])
    groups = np.arange(102)
    groups[100] = groups[test]
    again, notes = assign(rows(102), groups, Classify(), old_table(table, splits))
    assert again[100] == "test" and len(notes) == 1
    groups = np.arange(102)
    groups[[train, 100]] = groups[test]
    again, notes = assign(rows(102), groups, Classify(), old_table(table, splits))
    assert again[100] == "train" and "tie two splits together" in notes[1]


def test_equal_bytes_and_near_pixels_are_found_and_plain_surfaces_are_not():
    draw = np.random.default_rng(0)
    smooth = np.kron(draw.integers(0, 255, (40, 8, 8)), np.ones((4, 4))).astype(np.uint8)
    brighter = np.clip(smooth[:5] * 0.9 + 12, 0, 255).astype(np.uint8)
    plain = np.full((3, 32, 32), 200, np.uint8)
    pictures = np.concatenate([smooth, brighter, plain])
    prints = [f"p{number}" for number in range(len(pictures))]
    prints[39] = prints[0]
    found = find(prints, pictures)
    assert found.exact[39] == found.exact[0] and len(np.unique(found.exact)) == len(pictures) - 1
    assert all(found.near[40 + number] == found.near[number] for number in range(5))
    assert len(set(found.near[45:].tolist())) == 3


def test_a_huge_near_duplicate_group_is_reported_and_not_merged():
    draw = np.random.default_rng(0)
    base = np.kron(draw.integers(0, 255, (1, 8, 8)), np.ones((4, 4)))
    alike = np.clip(base + draw.integers(-2, 2, (50, 32, 32)), 0, 255).astype(np.uint8)
    others = np.kron(draw.integers(0, 255, (50, 8, 8)), np.ones((4, 4))).astype(np.uint8)
    found = find([str(number) for number in range(100)], np.concatenate([alike, others]))
    assert found.oversized == (50,) and len(np.unique(found.near)) == 100


def test_components_are_merged_through_chains():
    assert merged(5, [(0, 1), (1, 3)]).tolist() == [0, 0, 1, 0, 2]
    assert merged(3, []).tolist() == [0, 1, 2]
