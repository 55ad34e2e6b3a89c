"""Cards, recipes and YAML: one line per knob, and unknown is an error."""

from dataclasses import dataclass, fields

import pytest

from horngate.pipelines.spec.card import GROUPS, Data, changed, group_of, knob, task_name
from horngate.pipelines.spec.discovery import card_class, domains
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import load_yaml, merged, read_card, to_yaml
from horngate.pipelines.vision import Classify


def test_flags_win_over_yaml_over_recipe_over_defaults(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("epochs: 4\nimage_size: 48\n")
    card = merged(Classify, "digits", path, {"image_size": 64})
    assert (card.epochs, card.image_size, card.augment, card.seed) == (4, 64, "light", 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs: three", "whole number"),
        ("epochs: true", "whole number"),
        ("epochs: 0", "at least 1"),
        ("validation: 1.5", "between 0.0 and 0.9"),
        ("method: prob", "one of auto, probe"),
        ("target_column: no", "quote it"),
        ("refit: 1", "true or false"),
        ("keep_column: age", "list of texts"),
        ("seed: null", "should be set"),
        ("task: tag\ndomain: nlp", "not for `vision classify`"),
        ("- a\n- b", "name: value"),
        ("a: [", "no valid YAML"),
        ("epochs: 1\nepochs: 2", "sets `epochs` twice"),
    ],
)
def test_a_wrong_value_says_what_it_should_be(tmp_path, text, said):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        merged(Classify, config=path)


def test_yaml_traps_of_numbers_are_read_as_numbers(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("learning_rate: 1e-3\nvalidation: 0\n")
    card = merged(Classify, config=path)
    assert (card.learning_rate, card.validation) == (0.001, 0.0)


def test_a_yaml_bomb_is_refused_before_it_grows(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="alias"):
        load_yaml(path)
    path.write_text("a: " + "[" * 100_000)
    with pytest.raises(UserError, match="YAML"):
        load_yaml(path)
    path.write_text("a: " + "x" * 1_000_001)
    with pytest.raises(UserError, match="larger"):
        load_yaml(path)
    path.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(UserError, match="no valid YAML"):
        load_yaml(path)


def test_every_card_survives_yaml(tmp_path):
    card = Classify(data="größe/ordner", keep_column=("a", "b"), learning_rate=1e-5, positive="no", refit=True)
    path = tmp_path / "r.yaml"
    path.write_text(to_yaml(card), "utf-8")
    assert read_card(path) == card


def test_unknown_recipes_and_knobs_name_the_nearest():
    with pytest.raises(UserError, match='Did you mean "digits"'):
        merged(Classify, "digit")
    with pytest.raises(UserError, match='Did you mean "backbone"'):
        changed(Classify(), {"back_bone": "x"}, "flags")


@pytest.mark.parametrize(
    ("domain", "task", "name", "value", "other"),
    [
        (domain, task, name, value, {"class_weights": "balanced", "refit": "true", "users": "users.csv"}.get(name, "x"))
        for domain, cards in domains().items()
        for task, card in cards.items()
        for name, value in card.retired.items()
    ],
)
def test_kept_recipes_open_that_hold_knobs_which_a_task_once_had(tmp_path, domain, task, name, value, other):
    cls = card_class(domain, task)
    assert name not in {spec.name for spec in fields(cls)}
    path = tmp_path / "recipe.yaml"
    kept = {None: "null", False: "false"}.get(value, value)
    path.write_text(to_yaml(cls(seed=7)) + f"{name}: {kept}\n")
    assert read_card(path) == merged(cls, config=path) == cls(seed=7)
    path.write_text(to_yaml(cls(seed=7)) + f"{name}: {other}\n")
    for reading in (read_card, lambda path: merged(cls, config=path)):
        with pytest.raises(UserError, match=f'unknown knob "{name}"'):
            reading(path)


def test_a_knob_that_a_task_never_had_is_unknown_whatever_it_says(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(Classify()) + "users: null\n")
    with pytest.raises(UserError, match='unknown knob "users"'):
        read_card(path)


def test_a_card_is_called_like_its_class_unless_it_says_otherwise():
    @dataclass(frozen=True, kw_only=True)
    class Boxes(Classify):
        task = "detect"

    class Own(Boxes):
        pass

    assert [task_name(cls)[1] for cls in (Classify, Boxes, Own)] == ["classify", "detect", "own"]
    assert task_name(Boxes(data="x"))[1] == "detect"


def test_a_knob_is_of_the_group_of_the_base_that_declares_it_first():
    @dataclass(frozen=True, kw_only=True)
    class Own(Classify):
        epochs: int = knob(3, "Narrowed.")
        colour: str = knob("red", "New.")
        shade_column: str | None = knob(None, "New.")

    names = ("validation", "seed", "output", "method", "epochs", "image_size", "colour", "shade_column", "id_column")
    assert [group_of(Own, name) for name in names] == [
        *("data", "learning", "output", "learning", "learning", "this task", "this task", "columns", "columns"),
    ]
    assert {group_of(Own, spec.name) for spec in fields(Own)} == set(GROUPS)
    assert {group_of(Data, spec.name) for spec in fields(Data)} == set(GROUPS) - {"this task"}
