"""Cards: the knobs of a task, one line each, from which options, YAML keys, keywords and the reference all come.

A task's card is a frozen dataclass composed of those of the bases below that fit it. This file stays light: it imports
nothing but the standard library.
"""

from dataclasses import dataclass, field, fields, replace
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.spec.rows import RowSpec

GROUPS = ("data", "columns", "learning", "this task", "output")  # of knobs, as help shows them


def knob(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    flag: str | None = None,
    group: str | None = None,
):
    """Declare one knob: its default, its help, inclusive bounds for numbers, a short flag, a group beside its base's."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "flag": flag, "group": group})


@dataclass(frozen=True)
class Option:
    """An option that a task adds to a verb other than `train`: its type, its help, inclusive bounds."""

    kind: type
    help: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Data:
    """Knobs of every task: where the rows come from and how they are split.

    Beside its knobs a card names, for the whole class: `rows` (what a row is), `metrics` (the first is the headline),
    `recipes` (named sets of knobs), `options` (by verb, what the task adds to it), `check_knobs` (knobs beside those of
    `Data` that `check` takes), `writes` (columns of answers of this task alone, which kept columns must not be named like),
    `retired` (knobs that the task once had, with the only value that it accepted: kept recipes hold them), and, where it
    isn't the class's name in lower case, `task`, the word that the user types. A base's `group` is that of its knobs.
    """

    task: ClassVar[str | None] = None
    group: ClassVar[str] = "data"
    rows: ClassVar[RowSpec] = RowSpec()
    metrics: ClassVar[tuple[str, ...]] = ()
    recipes: ClassVar[dict[str, dict[str, Any]]] = {}
    options: ClassVar[dict[str, dict[str, Option]]] = {}
    check_knobs: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    retired: ClassVar[dict[str, Any]] = {}

    data: str | None = knob(None, "A folder, a .csv, .tsv, .parquet or .jsonl file, tfds:NAME or sample:NAME.")
    split_column: str | None = knob(
        None, "Column with given splits (train, validation, test); they are kept as they are."
    )
    group_column: str | None = knob(None, "Column whose equal values must stay on one side of a split.")
    id_column: str | None = knob(None, "Column that names each row; default: the row's input.")
    keep_column: tuple[str, ...] | None = knob(None, "Further column to carry into answers and slices; default: all.")
    encoding: str = knob("utf-8", "Text encoding of a .csv, .tsv or .jsonl file.")
    allow_outside: bool = knob(False, "Accept paths in a table that leave the table's folder.")
    validation: float = knob(0.1, "Share set aside for validation where that split is missing.", low=0.0, high=0.9)
    test: float = knob(0.1, "Share set aside for the test where that split is missing.", low=0.0, high=0.9)
    splits: str | None = knob(None, "A run whose split is inherited for the rows that it has.")
    split_rule: Literal["random"] = knob("random", "How missing splits are drawn.")
    max_quarantine: float = knob(0.05, "Stop when a larger share of the rows can't be read.", low=0.0, high=1.0)
    seed: int = knob(0, "Seed of every random draw.", low=0, high=2**31 - 1, group="learning")
    output: str = knob("runs", "Folder in which the run folder is made.", flag="-o", group="output")


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Knobs of what is trained by gradient; left alone, they are derived from the method and the data."""

    group: ClassVar[str] = "learning"

    epochs: int | None = knob(None, "Passes over the training rows; default: by the method.", low=1)
    batch_size: int | None = knob(None, "Rows per step; default: by the method.", low=1)
    learning_rate: float | None = knob(None, "Peak learning rate; default: by the method.", low=0.0)
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = knob(
        "auto", "Arithmetic; auto: float32 on a CPU, mixed on a GPU that is made for it."
    )
    device: Literal["auto", "cpu", "gpu"] = knob("auto", "Where to compute; gpu is an error where there is none.")
    runtime: Literal["auto", "tensorflow", "litert"] = knob(
        "auto", "What computes forward passes on a CPU; auto: LiteRT where it proves faster and equal."
    )


@dataclass(frozen=True, kw_only=True)
class ClassWeighted:
    """Knobs of what learns classes."""

    group: ClassVar[str] = "learning"

    class_weights: Literal["none", "balanced"] = knob("none", "Weigh classes against their share of the rows.")


@dataclass(frozen=True, kw_only=True)
class ThroughTensorFlow(Optimisation):
    """Knobs of what puts its answers together through TensorFlow, whatever computes elsewhere."""

    runtime: Literal["auto", "tensorflow"] = knob("auto", "What computes forward passes; auto: TensorFlow.")


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Knobs of what looks at its inputs through a backbone.

    A card names the `families` that its backbones come from: `keras.applications`, or task classes of KerasHub whose
    presets fit, such as `ImageClassifier`.
    """

    group: ClassVar[str] = "learning"
    families: ClassVar[tuple[str, ...]] = ()

    backbone: str | None = knob(None, "Architecture, preset name or preset folder; default: a small network.")
    weights: str = knob("imagenet", "Pretrained weights: imagenet, none, or a weights file.")


@dataclass(frozen=True, kw_only=True)
class Transfer(Pretrained):
    """Knobs of what learns on from a pretrained backbone."""

    group: ClassVar[str] = "learning"

    method: Literal["auto", "probe", "lora", "finetune", "scratch"] = knob(
        "auto", "How to learn; auto climbs from probe to finetune and keeps the cheapest that is not worse."
    )


@dataclass(frozen=True, kw_only=True)
class Refitted(Transfer):
    """Knobs of what learns a head, which may be fitted once more."""

    group: ClassVar[str] = "learning"

    refit: bool = knob(False, "Fit the head once more on training and validation rows after everything is chosen.")


@dataclass(frozen=True, kw_only=True)
class Squared:
    """Knobs of how pictures become squares."""

    image_size: int | None = knob(None, "Side of the square that the network sees, in pixels.", low=8, high=2048)
    resize: Literal["stretch", "crop", "pad"] = knob("stretch", "How a picture becomes a square.")


@dataclass(frozen=True, kw_only=True)
class Pictured(Squared):
    """Knobs of how pictures are shown to a network that sorts them."""

    alpha: float | None = knob(None, "Width multiplier of a MobileNet.", low=0.1, high=2.0)
    augment: Literal["none", "light", "strong"] = knob("none", "Random crops and colour changes while learning.")
    flip: Literal["none", "horizontal", "vertical", "both"] = knob("none", "Random mirror images while learning.")
    views: int = knob(1, "Augmented views of each training picture that a probe sees.", low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Knobs of classification: how scores become answers."""

    check_knobs: ClassVar[tuple[str, ...]] = ("label_separator",)
    options: ClassVar[dict[str, dict[str, Option]]] = {
        "evaluate": {
            "sensitivity": Option(float, "Use the threshold that has this sensitivity on validation.", 0.0, 1.0),
            "specificity": Option(float, "Use the threshold that has this specificity on validation.", 0.0, 1.0),
            "conformal": Option(float, "Add label sets of this coverage, fitted on validation.", 0.5, 0.999),
        },
        "predict": {"wide": Option(bool, "Write one column score_CLASS per class instead of the list `scores`.")},
    }

    positive: str | None = knob(None, "Of two classes, the one that counts as positive; default: the last by name.")
    label_separator: str | None = knob(None, "Character between several labels of one row; makes the task multi-label.")
    calibrate: bool = knob(True, "Scale the scores by a temperature fitted on validation rows.")
    sensitivity: float | None = knob(
        None, "Choose the threshold on validation for this sensitivity.", low=0.0, high=1.0
    )
    specificity: float | None = knob(
        None, "Choose the threshold on validation for this specificity.", low=0.0, high=1.0
    )
    conformal: float | None = knob(
        None, "Add label sets that hold the true label with this probability.", low=0.5, high=0.999
    )


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Knobs of anomaly detection: which rows are learnt from, and which scores raise an alarm."""

    check_knobs: ClassVar[tuple[str, ...]] = ("positive", "normal")
    options: ClassVar[dict[str, dict[str, Option]]] = {
        "evaluate": {
            "contamination": Option(
                float, "Use the threshold that this share of the validation rows reaches.", 0.0, 0.5
            ),
            "false_alarm_rate": Option(
                float, "Use the threshold that this share of the normal validation rows reaches.", 0.0, 1.0
            ),
            "positive": Option(str, "The target of an anomaly in --data, where the training rows had no targets."),
        }
    }

    protocol: Literal["contaminated", "one-class"] = knob(
        "contaminated",
        "Training rows: all, anomalies among them, whatever their labels; or none that is a known anomaly.",
    )
    positive: str | None = knob(None, "The target of an anomaly; default: of two targets, the one that isn't `normal`.")
    normal: str | None = knob(
        None,
        "The target of a normal row, all others are anomalies; default: normal, good, ok, 0, false, no or the like.",
    )
    contamination: float | None = knob(
        None, "Raise an alarm for this share of rows like the validation rows.", low=0.0, high=0.5
    )
    false_alarm_rate: float | None = knob(
        None,
        "Raise an alarm for this share of normal rows; default: by F1 on labelled rows, else 0.05.",
        low=0.0,
        high=1.0,
    )


def task_name(card: Data | type[Data]) -> tuple[str, str]:
    """Return the (domain, task) of a card, as the user types them."""
    cls = card if isinstance(card, type) else type(card)
    return cls.__module__.rsplit(".", 1)[-1], vars(cls).get("task") or cls.__name__.lower()


def group_of(cls: type[Data], name: str) -> str:
    """Return the group of a knob, one of `GROUPS`: a column's, its own, or that of the base that declares it first."""
    if name.endswith("_column"):
        return "columns"
    base = next(base for base in reversed(cls.__mro__) if name in get_annotations(base))
    (spec,) = (spec for spec in fields(base) if spec.name == name)
    return spec.metadata["group"] or vars(base).get("group", "this task")


def elsewhere(card: Data, data: str) -> Data:
    """Return the card for other data, without what belongs to its own."""
    return replace(card, data=data, **dict.fromkeys(card.rows.belonging if data != card.data else ()))


def knob_types(cls: type[Data]) -> dict[str, tuple[Any, bool]]:
    """Return for each knob its type and whether it may be left empty (`None`)."""
    hints = get_type_hints(cls)
    types = {}
    for spec in fields(cls):
        hint, optional = hints[spec.name], False
        if get_origin(hint) in (Union, UnionType):
            optional = NoneType in get_args(hint)
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
        types[spec.name] = (hint, optional)
    return types


def changed(card: Data, values: dict[str, Any], source: str) -> Data:
    """Return a copy of `card` with `values` taken over; `source` names where they came from in errors.

    Raises:
        UserError: an unknown knob, a value of the wrong type, or one out of bounds.
    """
    types = knob_types(type(card))
    for name in values:
        if name not in types:
            raise UserError(f'{source}: unknown knob "{name}".{nearest(name, types)}')
    return replace(card, **{name: _converted(type(card), name, value, types, source) for name, value in values.items()})


def _converted(cls, name: str, value: Any, types: dict, source: str) -> Any:
    hint, optional = types[name]
    said = f"{source}: `{name}` should be"
    if value is None:
        if optional:
            return None
        raise UserError(f"{said} set. Received: nothing")
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UserError(f"{said} one of {', '.join(get_args(hint))}. Received: {value!r}")
        return value
    if get_origin(hint) is tuple:
        if isinstance(value, str) or not all(isinstance(item, str) for item in value):
            raise UserError(f"{said} a list of texts. Received: {value!r}")
        return tuple(value)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        value = _number(value, said)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        advice = " (quote it, if it is a text)" if hint is str else ""
        raise UserError(f"{said} {_word(hint)}{advice}. Received: {value!r}")
    spec = next(spec for spec in fields(cls) if spec.name == name)
    low, high = spec.metadata["low"], spec.metadata["high"]
    if hint in (int, float) and not ((low is None or value >= low) and (high is None or value <= high)):
        raise UserError(f"{said} {_range(low, high)}. Received: {value!r}")
    return value


def _number(value: int | str, said: str) -> float:
    try:
        return float(value)  # YAML reads 1e-3 as a text
    except ValueError:
        raise UserError(f"{said} a number. Received: {value!r}") from None


def _word(hint: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[hint]


def _range(low, high) -> str:
    if low is not None and high is not None:
        return f"between {low} and {high}"
    return f"at least {low}" if low is not None else f"at most {high}"
