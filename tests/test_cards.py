"""Cards, recipes and YAML: one line per knob, and unknown is an error."""

import pytest

from horngate.pipelines.spec.card import changed
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
