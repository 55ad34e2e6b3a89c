"""A report: scores, each with interval, baseline and number of rows, and slices."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from horngate.pipelines.system.files import write_json

FORMAT = 1


@dataclass(frozen=True)
class Score:
    """One measure of one table of answers; `None` where it can't be computed, with the `reason`."""

    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    higher_is_better: bool = True
    unit: str = ""
    reason: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the score as JSON has it; `reason` only where there is one."""
        values = asdict(self)
        if self.reason is None:
            del values["reason"]
        return values


@dataclass(frozen=True)
class Report:
    """What one evaluation says; contracts of its JSON are in docs/reports.md."""

    domain: str
    task: str
    run: str
    split: str
    rows: int
    groups: int | None
    quarantined: int
    metrics: dict[str, Score]
    references: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)
    slices: list[dict[str, Any]] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> tuple[str, Score]:
        """The first metric, which speaks for the task."""
        return next(iter(self.metrics.items()))

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"format": FORMAT} | values | {"metrics": {name: score.plain() for name, score in self.metrics.items()}}

    def write(self, path: Path) -> None:
        """Write the report as strict JSON."""
        write_json(path, self.plain())
