"""What is asked of rows: clicks or ratings, told by their targets, and how these become numbers."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tables.columns import number_in, text_in


@dataclass(frozen=True)
class TargetEncoder:
    """A kind of targets, and how they become numbers.

    Attributes:
        kind: `click` or `rating`.
        names: of clicks, the target of none and that of a click; empty for ratings.
        mean, spread: of the training rows' targets as numbers; of clicks the mean is the prevalence.
        low, high: least and greatest target of the training rows.
    """

    kind: str
    names: tuple[str, ...] = ()
    mean: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 1.0

    @property
    def clicks(self) -> bool:
        return self.kind == "click"

    @classmethod
    def of(cls, targets: list[str], card: Any) -> "TargetEncoder":
        """Return the kind of targets, by the card's wish or by their values.

        Raises:
            UserError: they are of one value, neither two values nor numbers, or not what is wished.
        """
        values = sorted({_plain(target) for target in targets}, key=_order)
        texts = [value for value in values if number_in(value) is None]
        kind = card.kind if card.kind != "auto" else "click" if len(values) == 2 else "rating"
        if len(values) < 2:
            raise UserError(f"all rows have the target {', '.join(values) or 'none'}, so nothing can be learnt")
        if kind == "rating":
            if texts:
                raise UserError(
                    f'targets should be two values (clicks) or numbers (ratings). Received: "{texts[0][:40]}"'
                )
            if card.positive is not None:
                raise UserError("--positive is for clicks, and the targets are ratings; leave it out")
            return cls(kind)
        if len(values) != 2:
            raise UserError(f"--kind click needs two different targets. Found: {len(values)}, such as {values[0]}")
        positive = values[-1] if card.positive is None else _plain(card.positive)
        if positive not in values:
            raise UserError(f"--positive should be one of {', '.join(values)}. Received: {card.positive}")
        return cls(kind, (next(value for value in values if value != positive), positive))

    def measured(self, targets: np.ndarray) -> "TargetEncoder":
        """Return the encoder with what the training rows' targets (float64, as of `encode`) are like."""
        low, high = float(targets.min()), float(targets.max())
        return TargetEncoder(self.kind, self.names, float(targets.mean()), float(targets.std()) or 1.0, low, high)

    def encode(self, targets: list[str], ids: list[str] | None = None) -> np.ndarray:
        """Return targets as float64 `[n]`: 0 and 1 of clicks, or the ratings.

        Raises:
            UserError: a target that is none of these; it names the row.
        """
        found = np.empty(len(targets))
        for row, target in enumerate(targets):
            value = self._number(target)
            if value is None:
                name = "" if ids is None else f" of {ids[row]}"
                wanted = f"{self.names[0]} or {self.names[1]}" if self.clicks else "a number"
                raise UserError(f"the target{name} should be {wanted}. Received: {target}")
            found[row] = value
        return found

    def _number(self, target: str | None) -> float | None:
        if target is None:
            return None
        if self.clicks:
            plain = _plain(target)
            return float(self.names.index(plain)) if plain in self.names else None
        value = number_in(target)
        return value if value is not None and np.isfinite(value) else None

    @property
    def logit(self) -> float:
        """What a network that knows nothing yet should say: the logit of the prevalence, or 0 for the mean rating."""
        if not self.clicks:
            return 0.0
        chance = min(max(self.mean, 1e-6), 1 - 1e-6)
        return math.log(chance / (1 - chance))

    @property
    def said(self) -> str:
        """The kind in words."""
        return f"clicks: {self.names[1]} against {self.names[0]}" if self.clicks else "ratings"

    def plain(self) -> dict[str, Any]:
        """Return the encoder as JSON has it."""
        return asdict(self) | {"names": list(self.names)}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> "TargetEncoder":
        """Return what `plain` wrote."""
        return cls(**plain | {"names": tuple(plain["names"])})


def _plain(target: str) -> str:
    """Return a target, numbers in one form: 1 and 1.0 are the same."""
    value = number_in(target)
    return target.strip() if value is None else text_in(value)


def _order(value: str) -> tuple:
    number = number_in(value)
    return (1, 0.0, value) if number is None else (0, number, value)
