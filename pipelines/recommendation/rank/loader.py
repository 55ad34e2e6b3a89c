"""The door of tables with targets: it refuses rows whose target says nothing."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.tables.columns import LARGEST, is_gap, number_in


def opens(path: Path, labelled: bool) -> bool:
    """Whether this door reads a file in place of the usual ones: never."""
    return False


def blocks(*asked) -> Iterator[pa.Table]:
    """Yield nothing, since this door opens nothing."""
    yield from ()


def checked(block: pa.Table) -> pa.Table:
    """Return a labelled block; rows whose target is a gap, infinite or too large have the reason as `error`."""
    targets, errors = block["target"].to_pylist(), block["error"].to_pylist()
    errors = [error or _wrong(target) for target, error in zip(targets, errors, strict=True)]
    return block.set_column(block.column_names.index("error"), "error", pa.array(errors, pa.string()))


def _wrong(target: str | None) -> str | None:
    if is_gap(target):
        return "no target"
    value = number_in(target)
    if value is not None and not abs(value) <= LARGEST:
        return f"its target is infinite, or too large ({target[:20]})"
    return None
