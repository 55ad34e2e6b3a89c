"""Recipes: a card's chain of copies (default < named recipe < YAML < flags), and YAML in and out."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from horngate.pipelines.spec.card import Data, changed, task_name
from horngate.pipelines.spec.discovery import card_class
from horngate.pipelines.spec.errors import UserError, nearest

LARGEST = 1_000_000  # bytes; a recipe is a page of text
DEEPEST = 10  # levels


def merged(
    cls: type[Data], recipe: str | None = None, config: str | Path | None = None, flags: dict[str, Any] | None = None
) -> Data:
    """Return a card: the defaults, then a named recipe, then a YAML file, then flags."""
    card = cls()
    if recipe is not None:
        if recipe not in cls.recipes:
            known = ", ".join(cls.recipes) or "none"
            raise UserError(f'unknown recipe "{recipe}".{nearest(recipe, cls.recipes)} Known: {known}')
        card = changed(card, cls.recipes[recipe], f"recipe {recipe}")
    if config is not None:
        card = changed(card, _knobs_of(cls, Path(config)), str(config))
    return changed(card, flags or {}, "flags")


def read_card(path: Path) -> Data:
    """Return the card that a YAML file holds; the file names its own domain and task, and may be of an older version."""
    values = load_yaml(path)
    domain, task = values.pop("domain", None), values.pop("task", None)
    if not isinstance(domain, str) or not isinstance(task, str):
        raise UserError(f"{path} doesn't say which task it is for: it should hold `domain` and `task`")
    cls = card_class(domain, task)
    return changed(cls(), _still_there(cls, values), str(path))


def to_yaml(card: Data) -> str:
    """Return the card as YAML that `read_card` and `-c` read back to an equal card."""
    import yaml

    domain, task = task_name(card)
    values = {"domain": domain, "task": task}
    for spec in fields(card):
        value = getattr(card, spec.name)
        values[spec.name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds: plain values only, no aliases, no repeated keys, at most 1 MB."""
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is larger than a recipe can be ({LARGEST:,} bytes)")
        text = path.read_text("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"{path} uses a YAML alias (*{event.anchor}); write the value out instead")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise UserError(f"{path} is no valid YAML recipe: it nests deeper than {DEEPEST} levels")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node, path)
        values = yaml.safe_load(text)
    except OSError as problem:
        raise UserError(f"{path} can't be read: {problem.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise UserError(f"{path} is no valid YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} should hold `name: value` lines")
    return values


def _refuse_repeated_keys(node, path: Path) -> None:
    names = [key.value for key, _ in node.value]
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{path} sets `{repeated[0]}` twice")


def _knobs_of(cls: type[Data], path: Path) -> dict[str, Any]:
    values = load_yaml(path)
    said = (values.pop("domain", None), values.pop("task", None))
    own = task_name(cls)
    if any(word is not None and word != mine for word, mine in zip(said, own, strict=True)):
        raise UserError(f"{path} is a recipe for `{said[0]} {said[1]}`, not for `{own[0]} {own[1]}`")
    return _still_there(cls, values)


def _still_there(cls: type[Data], values: dict[str, Any]) -> dict[str, Any]:
    """Return values without knobs that the task once had, where they say what was all that it accepted."""
    return {name: value for name, value in values.items() if (name, value) not in cls.retired.items()}
