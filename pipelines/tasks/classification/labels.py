"""Labels: names that travel with their index, and what turns scores into answers. `labels.json` holds one."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.spec.card import Decision
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system.files import read_json, write_json

MIDDLE = 1e-6  # by which rounding may move a sum of scores


@dataclass(frozen=True)
class Labels:
    """The classes of a task in the order of the scores, and the decisions taken on validation rows.

    Attributes:
        labels: names, sorted; grades from the least to the gravest.
        separator: between several labels of one row; None where a row has one.
        positive: of two classes, the one that counts as positive; None otherwise.
        prior: share of each class among the training rows.
        threshold: score of `positive` (or of any label, with several) from which on it is answered.
        conformal: coverage and quantile of the label sets, or None.
        ordinal: whether they are grades in order.
        on_validation: what the threshold does on validation rows (rates by name), or None; `labels.json` doesn't hold it.
    """

    labels: tuple[str, ...]
    separator: str | None = None
    positive: str | None = None
    prior: tuple[float, ...] = ()
    threshold: float | None = None
    conformal: dict[str, float] | None = None
    ordinal: bool = False
    on_validation: dict[str, Any] | None = None

    @classmethod
    def learnt(cls, targets: list[str], card: Decision) -> "Labels":
        """Return the labels of training targets.

        Raises:
            UserError: a `positive` that is no label, or a wish that needs two classes.
        """
        names = sorted({name for target in targets for name in split_labels(target, card.label_separator)})
        grades = getattr(card, "ordinal", None)
        names = names if grades is None else _graded(list(grades), names, card.label_separator)
        two = len(names) == 2 and card.label_separator is None
        positive = card.positive or (names[-1] if two else None)
        if positive is not None and (not two or positive not in names):
            known = ", ".join(names[:10])
            raise UserError(
                f'--positive "{positive}" should be one of two classes.{nearest(positive, names)} Classes: {known}'
            )
        if not two and (card.sensitivity is not None or card.specificity is not None):
            raise UserError(f"--sensitivity and --specificity need two classes. Found: {len(names)}")
        if card.sensitivity is not None and card.specificity is not None:
            raise UserError("give --sensitivity or --specificity, not both")
        if card.conformal is not None and card.label_separator is not None:
            raise UserError("--conformal needs one label per row")
        bare = cls(tuple(names), card.label_separator, positive, ordinal=grades is not None)
        return replace(bare, prior=tuple(float(share) for share in bare.encode(targets).mean(0)))

    @property
    def several(self) -> bool:
        """Whether a row may have several labels."""
        return self.separator is not None

    @property
    def positive_index(self) -> int | None:
        """The place of the positive class in the scores."""
        return None if self.positive is None else self.labels.index(self.positive)

    def encode(self, targets: list[str]) -> np.ndarray:
        """Return targets as float32 `[n, classes]`, one-hot or multi-hot; an unknown label leaves its place empty."""
        places = {name: place for place, name in enumerate(self.labels)}
        encoded = np.zeros((len(targets), len(self.labels)), np.float32)
        for row, target in enumerate(targets):
            for name in split_labels(target, self.separator):
                if name in places:
                    encoded[row, places[name]] = 1.0
        return encoded

    def chosen(self, scores: np.ndarray) -> np.ndarray:
        """Return what is answered: int64 `[n]` class indices, or bool `[n, classes]` with several labels.

        Of grades it is the median of the scores, which is on average the least far off.
        """
        if self.several:
            return scores >= (0.5 if self.threshold is None else self.threshold)
        if self.threshold is not None and self.positive is not None:
            place = self.positive_index
            return np.where(scores[:, place] >= self.threshold, place, 1 - place)
        if self.ordinal:
            return (np.cumsum(scores, 1) >= 0.5 - MIDDLE).argmax(1)
        return scores.argmax(1)

    def answers(self, scores: np.ndarray) -> dict[str, list[Any]]:
        """Return the answer columns of scores `[n, classes]`: label, score, scores, and set and abstain where wished."""
        chosen = self.chosen(scores)
        if self.several:
            names = [self.separator.join(self.labels[place] for place in np.flatnonzero(row)) for row in chosen]
            best = scores.max(1)
        else:
            names = [self.labels[place] for place in chosen]
            best = scores[np.arange(len(scores)), chosen]
        columns = {"label": names, "score": best.astype(np.float32), "scores": list(scores.astype(np.float32))}
        if self.conformal is not None:
            kept = scores >= 1 - self.conformal["quantile"] - 1e-7
            columns["set"] = [[self.labels[place] for place in np.flatnonzero(row)] for row in kept]
            columns["abstain"] = kept.sum(1) != 1
        return columns

    def write(self, path: Path) -> None:
        """Write `labels.json`."""
        values = asdict(self)
        del values["on_validation"]
        write_json(path, values)

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """Read `labels.json`."""
        values = read_json(path)
        try:
            return cls(**values | {"labels": tuple(values["labels"]), "prior": tuple(values["prior"])})
        except (TypeError, KeyError):
            raise UserError(f"{path} is damaged: it doesn't hold labels") from None


def _graded(grades: list[str], names: list[str], separator: str | None) -> list[str]:
    """Return the grades, if they are the labels of the training rows.

    Raises:
        UserError: they aren't, or they can't be grades.
    """
    if separator is not None:
        raise UserError("--ordinal needs one label per row; leave --label-separator out")
    if len(set(grades)) != len(grades) or len(grades) < 3:
        raise UserError(f"--ordinal should name three different grades or more. Received: {', '.join(grades)}")
    if sorted(grades) != names:
        extra, lacking = sorted(set(grades) - set(names)), sorted(set(names) - set(grades))
        said = [f"no training row has {', '.join(extra)}"] * bool(extra)
        said += [f"{', '.join(lacking)} should be among them"] * bool(lacking)
        raise UserError(f"--ordinal should name all labels in their order: {'; '.join(said)}")
    return grades


def split_labels(target: str | None, separator: str | None) -> list[str]:
    """Return the labels that a cell names."""
    if target is None:
        return []
    if separator is None:
        return [target]
    return list(dict.fromkeys(name.strip() for name in target.split(separator) if name.strip()))
