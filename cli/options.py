"""A card's knobs and options as click options, and how help shows them: the only place that knows both."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

import click

from horngate.pipelines.spec.card import GROUPS, Data, Option, group_of, knob_types

TEN = 10  # options that help shows first: of those below, in their order, the first that a task has
MOST_USED = (
    "data",
    "recipe",
    "output",
    "target_column",
    "backbone",
    "weights",
    "method",
    "detector",
    "model",
    "epochs",
)
MOST_USED += ("image_size", "users", "items", "seed", "batch_size", "learning_rate", "window")
MOST_USED += ("user_column", "item_column", "drop_column")


class GroupedCommand(click.Command):
    """A command whose help shows the ten most used options first, then the others in their groups.

    Args:
        groups: the group of a parameter, one of `GROUPS`, by its name; of one that isn't named, the last.
    """

    def __init__(self, *args: Any, groups: dict[str, str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of each group that has options."""
        params = {param.name: param for param in self.get_params(ctx) if param.get_help_record(ctx)}
        first = [name for name in (*MOST_USED, *params) if name in params]
        first = list(dict.fromkeys(first))[:TEN]
        sections = {"most used": first} | {group: [] for group in GROUPS}
        for name in params:
            if name not in first:
                sections[self.groups.get(name, GROUPS[-1])].append(name)
        for title, names in sections.items():
            if names:
                with formatter.section(title.capitalize()):
                    formatter.write_dl([params[name].get_help_record(ctx) for name in names])


def knob_options(cls: type[Data], only: tuple[str, ...] | None = None) -> list[click.Option]:
    """Return one option per knob of a card, or for some of them; an option that isn't given is None."""
    types = knob_types(cls)
    made = []
    for spec in fields(cls):
        if only is not None and spec.name not in only:
            continue
        hint, _ = types[spec.name]
        flags = ([spec.metadata["flag"]] if spec.metadata["flag"] else []) + [_flag(spec.name)]
        help = spec.metadata["help"] + _default(spec.default)
        if hint is bool:
            made.append(
                click.Option([*flags[:-1], f"{_flag(spec.name)}/--no-{_word(spec.name)}"], default=None, help=help)
            )
        elif get_origin(hint) is tuple:
            made.append(click.Option(flags, multiple=True, help=help, metavar="NAME"))
        else:
            made.append(
                click.Option(flags, type=_type(hint, spec.metadata), help=help, metavar=_metavar(spec.name, hint))
            )
    return made


def knob_groups(cls: type[Data]) -> dict[str, str]:
    """Return the group of each knob of a card."""
    return {spec.name: group_of(cls, spec.name) for spec in fields(cls)}


def verb_options(cls: type[Data], verb: str) -> list[click.Option]:
    """Return the options that a task adds to a verb."""
    return [_option(name, option) for name, option in cls.options.get(verb, {}).items()]


def given(cls: type[Data], values: dict[str, Any]) -> dict[str, Any]:
    """Return the knobs among parsed options that the user gave."""
    names = {spec.name for spec in fields(cls)}
    return {name: value for name, value in values.items() if name in names and value not in (None, ())}


def _option(name: str, option: Option) -> click.Option:
    if option.kind is bool:
        return click.Option([_flag(name)], is_flag=True, help=option.help)
    bounds = {"low": option.low, "high": option.high}
    return click.Option([_flag(name)], type=_type(option.kind, bounds), help=option.help)


def _type(hint: Any, bounds: dict[str, Any]):
    if get_origin(hint) is Literal:
        return click.Choice(get_args(hint))
    if hint is int:
        return click.IntRange(bounds["low"], bounds["high"])
    if hint is float:
        return click.FloatRange(bounds["low"], bounds["high"])
    return click.STRING


def _metavar(name: str, hint: Any) -> str | None:
    if hint is not str:
        return None
    return {"data": "SOURCE", "output": "DIR", "splits": "RUN", "weights": "imagenet|none|FILE"}.get(name, "NAME")


def _default(value: Any) -> str:
    return "" if value in (None, ()) or isinstance(value, bool) else f"  [default: {value}]"


def _word(name: str) -> str:
    return name.replace("_", "-")


def _flag(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{_word(name)}"
