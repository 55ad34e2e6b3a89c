"""Alarms: which targets are anomalies, and what turns scores into p-values and alarms. `alarms.json` holds one."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.spec.card import Detection
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.statistics.p_values import best_f1, p_values, threshold_at
from horngate.pipelines.system.files import read_json, write_json

NORMAL = ("normal", "good", "ok", "0", "0.0", "false", "no", "none", "negative", "inlier", "benign", "free", "healthy")
USUAL = 0.05  # share of false alarms where nothing else is known or wished
FEW = 5  # labelled anomalies and normal rows of validation, below which no threshold is chosen by F1
MOST_HELD = 10_000  # held-out scores that are kept; of more, evenly spaced ones in their order


@dataclass(frozen=True)
class Alarms:
    """What was decided of targets and scores.

    Attributes:
        anomalous: the targets that are anomalies, sorted; empty where no row has a target.
        normal: the targets of normal rows, sorted.
        held: scores of validation rows that are normal or unlabelled, sorted: what p-values count against.
        threshold: the score from which on an alarm is raised.
        chosen_by: how the threshold was chosen, in words.
        validation_only: whether `held` are rows that the detector hasn't seen.
    """

    anomalous: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    held: tuple[float, ...] = ()
    threshold: float = 0.0
    chosen_by: str = ""
    validation_only: bool = True

    @classmethod
    def named(cls, targets: list[str | None], card: Detection) -> "Alarms":
        """Return which targets are anomalies: as the card says, else by their names.

        Raises:
            UserError: a `positive` or `normal` that is no target, or targets that don't say which is which.
        """
        names = sorted({target for target in targets if target is not None})
        if not names:
            return cls()
        for wish, flag in ((card.positive, "positive"), (card.normal, "normal")):
            if wish is not None and wish not in names and len(names) > 1:
                shown = ", ".join(names[:10])
                raise UserError(f'--{flag} "{wish}" is no target.{nearest(wish, names)} Targets: {shown}')
        if card.positive is not None:
            anomalous = [name for name in names if name == card.positive]
        elif card.normal is not None:
            anomalous = [name for name in names if name != card.normal]
        else:
            usual = [name for name in names if name.strip().lower() in NORMAL]
            if len(usual) > 1 or (not usual and len(names) != 1):
                raise UserError(
                    f"which target is an anomaly? Name it with --positive, or the others' with --normal. "
                    f"Targets: {', '.join(names[:10])}"
                )
            anomalous = [name for name in names if name not in usual]
        return cls(tuple(anomalous), tuple(name for name in names if name not in anomalous))

    @property
    def knows(self) -> bool:
        """Whether some row had a target."""
        return bool(self.anomalous or self.normal)

    def encode(self, targets: list[str | None]) -> np.ndarray:
        """Return targets as float32 `[n]`: 1 for an anomaly, 0 for a normal row, NaN for an empty or unknown target."""
        values = dict.fromkeys(self.normal, 0.0) | dict.fromkeys(self.anomalous, 1.0)
        return np.array([values.get(target, np.nan) for target in targets], np.float32)

    def decided(self, scores: np.ndarray, targets: np.ndarray, card: Any, unseen: bool = True) -> "Alarms":
        """Return the same with held-out scores and a threshold.

        By the card's `contamination` or `false_alarm_rate`, else by F1 where at least five anomalies and five normal rows
        are labelled, else so that 5 % of the normal or unlabelled rows raise an alarm.

        Args:
            scores: float `[n]` of validation rows.
            targets: float32 `[n]`, as of `encode`.
            unseen: whether the detector hasn't learnt from these rows.

        Raises:
            UserError: no scores, or both wishes at once.
        """
        usual = np.sort(scores[~(targets == 1)]).astype(np.float64)
        if not len(usual):
            raise UserError(
                "no normal or unlabelled row is left to choose a threshold on; give --validation a larger share"
            )
        if card.contamination is not None and card.false_alarm_rate is not None:
            raise UserError("give --contamination or --false-alarm-rate, not both")
        known = ~np.isnan(targets)
        enough = min((targets == 1).sum(), (targets == 0).sum()) >= FEW
        if card.contamination is not None:
            threshold, why = threshold_at(np.sort(scores), card.contamination), f"contamination {card.contamination:g}"
        elif card.false_alarm_rate is None and enough:
            threshold, f1 = best_f1(targets[known] == 1, scores[known])
            why = f"F1 of {f1:.3f} on {int(known.sum())} labelled rows"
        else:
            rate = USUAL if card.false_alarm_rate is None else card.false_alarm_rate
            threshold, why = threshold_at(usual, rate), f"false alarm rate {rate:g}"
        if len(usual) > MOST_HELD:
            usual = usual[np.linspace(0, len(usual) - 1, MOST_HELD).round().astype(int)]
        held = tuple(float(score) for score in usual)
        return replace(self, held=held, threshold=float(threshold), chosen_by=why, validation_only=unseen)

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Return float64 `[n]`: the conformal p-values of scores."""
        return p_values(scores, np.array(self.held, np.float64))

    def raised(self, scores: np.ndarray) -> np.ndarray:
        """Return bool `[n]`: which scores raise an alarm."""
        return np.asarray(scores, np.float64) >= self.threshold

    def write(self, path: Path) -> None:
        """Write `alarms.json`."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Alarms":
        """Read `alarms.json`."""
        values = read_json(path)
        try:
            lists = {name: tuple(values[name]) for name in ("anomalous", "normal", "held")}
            return cls(**values | lists)
        except (TypeError, KeyError):
            raise UserError(f"{path} is damaged: it doesn't hold what raises an alarm") from None
