"""What a row of a task is: one declaration per card, from which sources, splits and verbs know how to treat rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RowSpec:
    """What the rows of a task are made of, and what may be done with them.

    Args:
        input: what a network's input is made of: a file that a cell names, a cell itself, the whole row, or a window of
            rows that ends with it (tables are series then).
        roles: by role, the column names to look for.
        optional: roles that a table may lack.
        truth: roles that only rows have whose answers are measured.
        blank: roles whose cells may be empty.
        featured: roles whose columns are part of the input all the same, where that is the row.
        beside: further columns of a row, such as its mask, that the first look takes in.
        repeating: whether equal inputs are each their own, as events are, not the same thing seen once.
        loader: the module of `pipelines` that reads formats of the task's own and checks its targets, see
            `pipelines/data/sources/loader.py`.
        belonging: knobs that are paths of what belongs to `data` and to no other source.
        catalogued: the class of `tensorflow_datasets.features` that plays a role, where it is no picture, text or label.
        unit: what the rows of a group have in common, in one word.
        private: whether rows are about people: ids become pseudonyms, and further columns are kept only when named.
    """

    input: Literal["file", "cell", "row", "window"] = "file"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    truth: tuple[str, ...] = ("target",)
    blank: tuple[str, ...] = ()
    featured: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    repeating: bool = False
    loader: str | None = None
    belonging: tuple[str, ...] = ()
    catalogued: Mapping[str, str] = field(default_factory=dict)
    unit: str = "group"
    private: bool = False
