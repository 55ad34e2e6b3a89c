"""compare: honest differences on shared rows, and no comparison where it wouldn't be fair."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from horngate.pipelines import compare
from horngate.pipelines.comparison.flips import flipped, mcnemar
from horngate.pipelines.metrics.classification import MEASURES, Outcome
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import to_yaml
from horngate.pipelines.statistics.paired import differences, holm, sign_test
from horngate.pipelines.system.files import write_json, write_table, write_text
from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.parts import AnswerColumn
from horngate.pipelines.vision import Classify

NAMES = ("cat", "dog", "owl")


def outcomes(seed, rows=300, edge=(1.0, 1.0), groups=None):
    """Return outcomes of two models on the same rows: `edge` is how much each knows; part of their noise is shared."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, rows)
    shared = draw.normal(size=(rows, 3))
    if groups is not None:
        shared = shared[groups]
    found = []
    for known in edge:
        own = draw.normal(size=(rows, 3)) if groups is None else draw.normal(size=(rows, 3))[groups]
        logits = known * np.eye(3)[truth] + 0.7 * shared + 0.7 * own
        scores = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
        found.append(Outcome(np.eye(3, dtype=np.float32)[truth], scores, scores.argmax(1)))
    return found


def difference(pair, names=("accuracy",), groups=None, draws=300):
    measures = [{name: MEASURES[name].prepare(one) for name in names} for one in pair]
    raised = tuple(name for name in names if MEASURES[name].raised)
    return differences(*measures, len(pair[0].scores), groups, draws, raised=raised)


def write_run(folder: Path, ids, targets, scores, **wishes) -> Path:
    """Write a run folder as a training leaves it, without its model: test rows, training rows, answers.

    wishes: `learnt` (fingerprints of training rows), `errors`, `groups`, `labels`, `refit`, `kept` (further columns).
    """
    ids, labels = list(ids), wishes.get("labels", NAMES)
    labels = Labels(labels, positive=labels[-1] if len(labels) == 2 else None)
    learnt = list(wishes.get("learnt", ["only seen in training"]))
    write_text(folder / "recipe.yaml", to_yaml(Classify(data="photos")))
    labels.write(folder / "labels.json")
    write_json(folder / "schema.json", {})
    protocol = {"refit": wishes.get("refit", False)}
    write_json(
        folder / "run.json",
        {"format": 1, "domain": "vision", "task": "classify", "method": "probe", "protocol": protocol},
    )
    prints = [f"content of {name}" for name in ids] + learnt
    splits = {
        "id": ids + [f"training/{place}" for place in range(len(learnt))],
        "split": ["test"] * len(ids) + [wishes.get("side", "train")] * len(learnt),
        "fingerprint": prints,
        "same": pa.array(np.unique(prints, return_inverse=True)[1]),
    }
    write_table(folder / "splits.parquet", pa.table(splits))
    answers = {"id": ids} | labels.answers(np.asarray(scores, np.float32))
    answers["error"] = pa.array(wishes.get("errors", [None] * len(ids)), pa.string())
    answers |= {"target": list(targets), "group": pa.array(wishes.get("groups", [None] * len(ids)), pa.string())}
    write_table(folder / "evaluation" / "test" / "answers.parquet", pa.table(answers | wishes.get("kept", {})))
    return folder


@dataclass
class Two:
    """Two simulated runs on the same rows, made again with other wishes."""

    folder: Path
    rows: int = 200
    edge: tuple = (1.0, 1.0)

    def __post_init__(self):
        self.pair = outcomes(0, self.rows, self.edge)
        self.ids = [f"row {row}" for row in range(self.rows)]
        self.targets = [NAMES[place] for place in self.pair[0].truth]

    def write(self, place: int, ids=None, targets=None, **wishes) -> Path:
        name = wishes.pop("name", "ab"[place])
        ids = self.ids if ids is None else ids
        return write_run(
            self.folder / name, ids, self.targets if targets is None else targets, self.pair[place].scores, **wishes
        )


@pytest.fixture
def two(tmp_path):
    return Two(tmp_path)


def test_intervals_of_equal_models_cover_zero_about_nineteen_times_in_twenty():
    names = ("accuracy", "macro_f1", "log_loss", "ece")
    found = [difference(outcomes(seed), names) for seed in range(40)]
    covered = {name: np.mean([one[name].low <= 0 <= one[name].high for one in found]) for name in names}
    assert all(0.88 <= share <= 1.0 for share in covered.values()), covered


def test_p_values_of_equal_models_are_spread_evenly():
    p_values = [difference(outcomes(seed), ("log_loss",), draws=200)["log_loss"].p_value for seed in range(100)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.1) <= 0.18 and 0.38 <= np.mean(np.array(p_values) < 0.5) <= 0.62


def test_a_truly_better_model_is_found():
    found = difference(outcomes(0, 600, edge=(1.0, 2.0)), ("accuracy", "log_loss"))
    assert found["accuracy"].low > 0 and found["log_loss"].high < 0
    assert found["accuracy"].p_value < 0.001 and found["log_loss"].p_value < 0.001


def test_swapping_the_models_turns_the_sign_alone():
    pair = outcomes(1, edge=(1.0, 1.3))
    there, back = difference(pair)["accuracy"], difference(pair[::-1])["accuracy"]
    assert (back.value, back.p_value) == (-there.value, there.p_value)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_groups_widen_the_interval():
    groups = np.arange(600) // 10
    pair = outcomes(0, 600, groups=groups)
    alone, together = difference(pair)["accuracy"], difference(pair, groups=groups)["accuracy"]
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_models_that_answer_alike_differ_by_exactly_nothing():
    one = outcomes(0)[0]
    found = difference((one, one), ("accuracy", "log_loss", "ece"))
    assert all((part.value, part.low, part.high, part.p_value) == (0.0, 0.0, 0.0, 1.0) for part in found.values())


def test_all_wrong_against_all_right_has_an_interval_with_width():
    targets = np.eye(3, dtype=np.float32)[np.zeros(12, int)]
    right, wrong = (Outcome(targets, targets, np.full(12, place)) for place in (0, 1))
    found = difference((wrong, right))["accuracy"]
    assert found.value == found.high == 1.0 and 0.7 < found.low < 1.0 and found.p_value == 2.0**-11


def test_one_row_gives_a_difference_without_interval():
    found = difference([one.at(np.arange(1)) for one in outcomes(0)])["accuracy"]
    assert found.value is not None and (found.low, found.high, found.p_value) == (None, None, None)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (7, 2), (30, 45), (0, 12)])
def test_the_exact_test_agrees_with_scipy(gained, lost):
    changes = np.array([1] * gained + [-1] * lost + [0] * 50)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert sign_test(changes) == pytest.approx(expected)


def test_the_exact_test_over_groups_agrees_with_all_flips_counted():
    sums = np.array([3, -1, 2, 2, 1, -2, 4])
    changes = np.concatenate([[np.sign(total)] * abs(total) for total in sums])
    groups = np.repeat(np.arange(len(sums)), np.abs(sums))
    signs = 1 - 2 * ((np.arange(2**7)[:, None] >> np.arange(7)) & 1)
    assert sign_test(changes, groups) == pytest.approx(np.mean(np.abs(signs @ sums) >= abs(sums.sum())))


def test_holm_agrees_with_a_calculation_by_hand():
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def answering(fields, correct) -> SimpleNamespace:
    """Return a task with these columns of answers, which are right where `correct` says so."""
    columns = tuple(AnswerColumn(*field) for field in fields)
    predictor = SimpleNamespace(columns=lambda: columns)
    return SimpleNamespace(predictor=predictor, evaluator=SimpleNamespace(correct=correct))


def test_answers_that_are_lists_are_told_in_words(tmp_path):
    kinds = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("label", pa.string())])
    fields = [("spans", pa.list_(kinds)), ("scores", pa.list_(pa.float32())), ("items", pa.list_(pa.string()))]

    def correct(answers):
        return np.array([place == 0 for place in answers["right"].to_pylist()])

    def answers(right, spans):
        rows = {"id": ["r"], "target": ["[]"], "right": [right], "spans": [spans], "scores": [[0.5]]}
        return pa.table(rows | {"items": [[f"i{place}" for place in range(9)]]})

    found = flipped(answering(fields, correct), answers(0, []), answers(1, [{"start": 0, "end": 5, "label": "PER"}]))
    (row,) = found["lost"]["shown"]
    assert row["a"] == {"spans": "", "items": "i0, i1, i2, i3, i4, i5, i6, i7, …"} and row["b"]["spans"] == "0 5 PER"


def test_a_comparison_counts_and_names_what_flipped(two):
    found = compare(two.write(0), two.write(1))
    part, counts = found["comparisons"][0], found["comparisons"][0]["mcnemar"]
    right = [one.chosen == one.truth for one in two.pair]
    assert counts["only_a_right"] == part["flipped"]["lost"]["rows"] == int((right[0] & ~right[1]).sum()) > 20
    assert counts["only_b_right"] == part["flipped"]["gained"]["rows"] == int((~right[0] & right[1]).sum())
    assert sum(counts[name] for name in ("both_right", "only_a_right", "only_b_right", "both_wrong")) == two.rows
    assert counts["p_value"] == part["metrics"]["accuracy"]["p_value"]
    shown = part["flipped"]["lost"]["shown"]
    scores = [row["a"]["score"] + row["b"]["score"] for row in shown]
    assert len(shown) == 20 and scores == sorted(scores, reverse=True)
    assert all(row["a"]["label"] == row["target"] != row["b"]["label"] for row in shown)


def test_a_better_run_is_named_with_how_much_and_how_surely(tmp_path):
    two = Two(tmp_path, edge=(0.5, 2.5))
    score = compare(two.write(0), two.write(1))["comparisons"][0]["metrics"]["log_loss"]
    assert score["better"] == "b" and score["verdict"].startswith("b is better by ") and "p < 0.001" in score["verdict"]
    assert score["difference"] == pytest.approx(score["b"] - score["a"]) and score["high"] < 0


def test_equal_runs_show_no_difference(two):
    two.pair[1] = two.pair[0]
    part = compare(two.write(0), two.write(1))["comparisons"][0]
    assert all(score["verdict"].startswith("no difference") for score in part["metrics"].values())
    assert part["flipped"]["gained"] == part["flipped"]["lost"] == {"rows": 0, "shown": []}


def test_rows_are_matched_by_id_in_any_order(two):
    straight = compare(two.write(0), two.write(1))
    two.ids, two.targets = two.ids[::-1], two.targets[::-1]
    two.pair[1] = two.pair[1].at(np.arange(two.rows)[::-1])
    assert compare(two.folder / "a", two.write(1))["comparisons"] == straight["comparisons"]


def test_rows_that_one_run_lacks_or_could_not_read_are_left_out_and_counted(two):
    errors = ["truncated"] * 5 + [None] * (two.rows - 5)
    others = [f"other {row}" for row in range(30)] + two.ids[30:]
    found = compare(two.write(0, errors=errors), two.write(1, ids=others))["rows"]
    assert found["shared"] == two.rows - 30 and found["only"] == {"a": 30, "b": 30} and found["in_error"] == 0
    assert compare(two.folder / "a", two.write(1))["rows"] | {"only": 0} == {
        "shared": two.rows - 5,
        "groups": None,
        "in_error": 5,
        "learnt": 0,
        "only": 0,
    }


def test_ids_with_odd_characters_and_repeated_ones_are_matched(two):
    two.ids[:4] = ["naïve 写真.png", "-o", "a\nb", "[red]x[/red]"]
    two.ids[4:6] = ["twice", "twice"]
    assert compare(two.write(0), two.write(1))["rows"]["shared"] == two.rows


@pytest.mark.parametrize("side", ["train", "validation"])
def test_a_run_that_learnt_from_the_other_ones_test_rows_is_refused(two, side):
    mine = two.ids[:-7] + [f"new {row}" for row in range(7)]
    leaks = [f"content of {name}" for name in two.ids[-7:]]
    first = two.write(0, ids=mine, learnt=leaks, side=side, refit=side == "validation")
    with pytest.raises(UserError, match=r"learnt from 7 of the rows .*--splits"):
        compare(first, two.write(1))


def test_validation_rows_of_a_run_that_was_not_refitted_are_not_learnt(two):
    mine = two.ids[:-7] + [f"new {row}" for row in range(7)]
    first = two.write(0, ids=mine, learnt=[f"content of {name}" for name in two.ids[-7:]], side="validation")
    assert compare(first, two.write(1))["rows"]["shared"] == two.rows - 7


def test_shared_rows_whose_copy_was_learnt_are_left_out(two):
    leaks = [f"content of {name}" for name in two.ids[:3]]
    found = compare(two.write(0, learnt=leaks), two.write(1, learnt=leaks))
    assert found["rows"]["learnt"] == 3 and found["rows"]["shared"] == two.rows - 3


def test_what_cannot_be_compared_is_one_line(two):
    first, second = two.write(0), two.write(1)
    elsewhere = two.write(1, ids=[f"other {row}" for row in range(two.rows)], name="elsewhere")
    retold = two.write(1, targets=["owl", *two.targets[1:]] if two.targets[0] != "owl" else ["cat", *two.targets[1:]])
    said = {
        "two or more different runs": (first,),
        "different runs": (first, first / "." / ""),
        "share no rows of test": (first, elsewhere),
        "1 of 200 shared rows have another target": (first, retold),
    }
    for message, runs in said.items():
        with pytest.raises(UserError, match=message):
            compare(*runs)
    with pytest.raises(UserError, match=r"horngate evaluate \S+ --split validation"):
        compare(first, second, split="validation")
    with pytest.raises(UserError, match="--data SOURCE --name winter"):
        compare(first, second, split="winter")
    with pytest.raises(UserError, match="learnt from"):
        compare(first, second, split="train")
    with pytest.raises(UserError, match="no column colour"):
        compare(first, two.write(1), by=("colour",))


def test_slices_are_sorted_and_corrected_for_their_number(tmp_path):
    two = Two(tmp_path, rows=400)
    better = outcomes(5, 400, edge=(0.5, 3.0))[1]
    inside = np.arange(400) < 100
    scores = np.where(inside[:, None], np.eye(3)[two.pair[0].truth] * 0.98 + 0.01, two.pair[0].scores)
    two.pair[1] = Outcome(better.targets, scores.astype(np.float32), scores.argmax(1))
    kept = {"kept": {"camera": ["new" if new else "old" for new in inside]}}
    slices = compare(two.write(0, **kept), two.write(1, **kept), by=("camera",))["comparisons"][0]["slices"]
    assert [(one["value"], one["rows"], one["moved"]) for one in slices] == [("new", 100, True), ("old", 300, False)]
    assert slices[0]["p_adjusted"] == pytest.approx(2 * slices[0]["p_value"]) and slices[1]["p_value"] == 1.0


def test_several_runs_are_held_against_the_first_and_in_pairs(two):
    two.pair.append(two.pair[0])
    found = compare(two.write(0), two.write(1), two.write(0, name="c"))
    assert [(part["a"], part["b"]) for part in found["comparisons"]] == [("a", "b"), ("a", "c")]
    assert [pair["runs"] for pair in found["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    raw = [pair["p_value"] for pair in found["pairs"]]
    assert [pair["p_adjusted"] for pair in found["pairs"]] == holm(raw)


def test_metrics_that_only_some_comparisons_have_get_a_verdict_too(tmp_path, cli):
    draw = np.random.default_rng(0)
    ids, targets = [f"row {row}" for row in range(60)], ["cat" if row % 2 else "dog" for row in range(60)]
    for name, labels in (("a", NAMES[:2]), ("b", NAMES), ("c", NAMES[:2])):
        write_run(tmp_path / name, ids, targets, draw.dirichlet(np.ones(len(labels)), 60), labels=labels)
    code, out, err = cli("compare", *(tmp_path / name for name in "abc"), "--json")
    assert code == 0, err
    metrics = [part["metrics"] for part in json.loads(out)["comparisons"]]
    assert "auroc" not in metrics[0] and metrics[1]["auroc"]["verdict"]


def test_runs_of_other_classes_are_measured_by_their_own_labels(two):
    order = (2, 0, 1)
    two.pair[1] = Outcome(two.pair[0].targets, two.pair[0].scores[:, order], two.pair[0].chosen)
    found = compare(two.write(0), two.write(1, labels=tuple(NAMES[place] for place in order)))
    assert found["comparisons"][0]["metrics"]["log_loss"]["difference"] == pytest.approx(0, abs=1e-9)


def test_json_and_file_hold_the_same_and_no_nan(two, cli):
    one_row = [two.ids[0]] + [f"b {row}" for row in range(two.rows - 1)]
    two.write(0), two.write(1, ids=one_row)
    code, out, err = cli("compare", two.folder / "a", two.folder / "b", "--json", "-o", two.folder / "out")
    assert code == 0, err
    refused = pytest.fail
    found = json.loads(out, parse_constant=refused)
    assert found == json.loads((two.folder / "out" / "compare.json").read_text(), parse_constant=refused)
    assert found["rows"]["shared"] == 1 and "unknown" in found["comparisons"][0]["metrics"]["accuracy"]["verdict"]


def test_a_page_is_written_escaped_and_without_pictures_where_the_data_is_gone(two):
    two.ids[0:40] = [f"<script>alert({row})</script>" for row in range(40)]
    compare(two.write(0), two.write(1), two.write(0, name="c"), output=two.folder / "out")
    page = (two.folder / "out" / "compare.html").read_text("utf-8")
    assert "&lt;script&gt;alert(" in page and "<script>alert(" not in page and "<img" not in page
    assert "All pairs" in page and "right in A, wrong in B" in page and page.count('class="bar"') >= 10


def test_rows_of_a_task_without_right_and_wrong_are_shown_by_how_far_apart_they_are():
    numbers = answering(
        [("score", pa.float64()), ("reason", pa.string()), ("parts", pa.list_(pa.float64()))], lambda answers: None
    )
    common = {"id": ["x", "y", "z"], "target": [None] * 3}
    first = pa.table(common | {"score": [0.0, 1.0, np.nan], "reason": ["a", "a", None], "parts": [[1.0], [2.0], [3.0]]})
    second = pa.table(common | {"score": [0.0, 9.0, 3.0], "reason": ["a", "b", None], "parts": [[1.0], [2.0], [3.0]]})
    found = flipped(numbers, first, second)["apart"]
    assert found["rows"] == 2 and [row["id"] for row in found["shown"]] == ["y", "z"]
    assert found["shown"][1]["a"]["score"] is None and "parts" not in found["shown"][0]["a"]
    assert mcnemar(numbers, first, second, None) is None


def test_two_trainings_are_compared_on_the_command_line(photos, tmp_path, cli):
    words = ("vision", "classify", "train", "--recipe", "tiny", "--data", photos, "--test", 0.4, "-o", tmp_path)
    first = cli(*words)[1].strip()
    second = cli(*words, "--splits", first, "--seed", 1)[1].strip()
    code, out, err = cli("compare", first, second, "-o", tmp_path / "compared")
    assert code == 0 and "could not be drawn" not in err, err
    assert "data:image/jpeg;base64," in (tmp_path / "compared" / "compare.html").read_text("utf-8")
    assert "B − A" in out and "accuracy" in out and "shared rows" in out and "both right" in out
    code, out, err = cli("compare", first, first)
    assert (code, out) == (1, "") and err.count("\n") == 1
