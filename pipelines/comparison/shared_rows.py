"""Which rows several runs answered, and whether they may be held against each other on them."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import printable, read_table
from horngate.pipelines.tasks.task import Task, task_of

SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class Contender:
    """A run in a comparison: how it is called there, what measures its answers, and the answers."""

    run: Run
    name: str
    task: Task
    answers: pa.Table


@dataclass(frozen=True)
class Shared:
    """The rows that all contenders answered, in the same order in each of their tables.

    Attributes:
        only: by name, how many rows of a contender some other one lacks.
        in_error: rows that some contender couldn't read; they are left out.
        learnt: rows whose content some contender learnt from; they are left out.
        notes: what a reader of the comparison should know.
    """

    contenders: list[Contender]
    only: dict[str, int]
    in_error: int
    learnt: int
    notes: list[str]


def shared_rows(runs: Sequence[str | os.PathLike], split: str) -> Shared:
    """Return the rows of an evaluation that all runs answered.

    Raises:
        UserError: fewer than two runs, one of them twice, or of different tasks; answers missing; no shared rows;
            targets that differ; rows of one that another learnt from.
    """
    contenders = _contenders([Run.open(run) for run in runs], split)
    ids = [_numbered(contender.answers["id"].to_pylist()) for contender in contenders]
    common = set(ids[0]).intersection(*ids[1:])
    learners = [_Learnt(contender.run) for contender in contenders] if split in SIDES else []
    for place, learner in enumerate(learners):
        for other, whose in enumerate(learners):
            if place != other:
                _refuse_learnt(contenders, place, other, learner.of(whose, set(ids[other]) - set(ids[place])))
    if not common:
        raise UserError(
            f"{_names(contenders)} share no rows of {split}: train one with --splits of the other, or evaluate both on "
            "the same --data with the same --name"
        )
    order = [name for name in ids[0] if name in common]
    aligned = [_aligned(contender, own, order) for contender, own in zip(contenders, ids, strict=True)]
    _agree_on_targets(aligned)
    good = np.all([contender.answers["error"].is_null().to_numpy() for contender in aligned], axis=0)
    fresh = good & ~np.any([learner.contents(order) for learner in learners] or [~good], axis=0)
    if not fresh.any():
        raise UserError(f"none of the {len(order)} shared rows of {split} is readable and new to all of the runs")
    kept = pa.array(np.flatnonzero(fresh))
    left = [replace(contender, answers=contender.answers.take(kept)) for contender in aligned]
    only = {contender.name: len(own) - len(order) for contender, own in zip(contenders, ids, strict=True)}
    notes = _notes(learners, order, split)
    return Shared(left, only, int((~good).sum()), int((good & ~fresh).sum()), notes)


class _Learnt:
    """What a run learnt from, by id and by content; the validation rows too, where it was refitted on them."""

    def __init__(self, run: Run):
        table = run.splits
        sides = np.array(table["split"].to_pylist())
        learnt = np.isin(sides, ("train", "validation") if run.summary["protocol"].get("refit") else ("train",))
        ids, prints = (np.array(table[name].to_pylist(), dtype=object) for name in ("id", "fingerprint"))
        same = table["same"].to_numpy()
        self.prints = dict(zip(ids, prints, strict=True))
        self.ids = set(ids[learnt])
        self.exact = set(prints[learnt])
        self.near = set(prints[np.isin(same, same[learnt])])

    def of(self, other: "_Learnt", ids: set[str]) -> int:
        """Return how many of another run's rows this one learnt from and the other one didn't."""
        mine = (name for name in ids if name in self.ids or other.prints.get(name) in self.exact)
        return sum(other.prints.get(name) not in other.exact for name in mine)

    def contents(self, ids: list[str]) -> np.ndarray:
        """Return bool `[n]`: which of its own rows show the same as one that it learnt from."""
        return np.array([self.prints.get(name) in self.near for name in ids], bool)


def _contenders(runs: list[Run], split: str) -> list[Contender]:
    if len({run.folder.resolve() for run in runs}) < max(len(runs), 2):
        raise UserError("name two or more different runs to compare")
    if split == "train":
        raise UserError("runs can't be compared on rows that they learnt from; take --split test or validation")
    kinds = [" ".join(task_name(run.card)) for run in runs]
    for run, kind in zip(runs, kinds, strict=True):
        if kind != kinds[0]:
            raise UserError(
                f"{runs[0].folder} is a run of {kinds[0]} and {run.folder} one of {kind}; compare like with like"
            )
    shorts = Counter(run.folder.resolve().name for run in runs)
    found = []
    for run in runs:
        answers, task = _answers(run, split), task_of(run.card).recalled(run.folder)
        short = run.folder.resolve().name
        found.append(Contender(run, printable(short if shorts[short] == 1 else run.folder), task, answers))
        if why := found[0].task.evaluator.incomparable(task):
            raise UserError(f"{found[0].name} and {found[-1].name} can't be compared: {why}")
    return found


def _answers(run: Run, split: str) -> pa.Table:
    path = run / "evaluation" / split / "answers.parquet"
    if path.parent.parent != run / "evaluation" or not path.is_file():
        how = f"--split {split}" if split in SIDES else f"--data SOURCE --name {split}"
        raise UserError(f"{run.folder} holds no answers for {split}; make them: horngate evaluate {run.folder} {how}")
    return read_table(path)


def _numbered(ids: list[str]) -> list[str]:
    """Return unique ids: the second row of an id that stands more than once gets #2, and so on."""
    seen: Counter = Counter()
    unique = []
    for name in ids:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique


def _refuse_learnt(contenders: list[Contender], learner: int, whose: int, count: int) -> None:
    if count:
        first, second = contenders[learner].run.folder, contenders[whose].run.folder
        raise UserError(
            f"{first} learnt from {count} of the rows that {second} is measured on, so the two can't be compared; train "
            f"one anew with --splits of the other, such as --splits {second}"
        )


def _aligned(contender: Contender, own: list[str], order: list[str]) -> Contender:
    places = {name: row for row, name in enumerate(own)}
    rows = contender.answers.take(pa.array([places[name] for name in order]))
    return replace(contender, answers=rows.combine_chunks())


def _agree_on_targets(contenders: list[Contender]) -> None:
    first = contenders[0].answers
    for other in contenders[1:]:
        pairs = zip(first["target"].to_pylist(), other.answers["target"].to_pylist(), strict=True)
        unlike = [row for row, (left, right) in enumerate(pairs) if left != right]
        if unlike:
            raise UserError(
                f"{len(unlike)} of {first.num_rows} shared rows have another target in {other.name} than in "
                f"{contenders[0].name} (first: {first['id'][unlike[0]].as_py()}); evaluate both on the same data"
            )


def _notes(learners: list[_Learnt], order: list[str], split: str) -> list[str]:
    if not learners:
        return [f"whether a run learnt from rows of {split} isn't known: they are no rows of its own data"]
    first = learners[0]
    changed = sum(any(other.prints.get(name) != first.prints.get(name) for other in learners[1:]) for name in order)
    return [f"{changed} shared rows hold another input in one run's data than in another's"] if changed else []


def _names(contenders: list[Contender]) -> str:
    return " and ".join(contender.name for contender in contenders)
