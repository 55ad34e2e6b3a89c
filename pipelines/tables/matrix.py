"""Rows of a table as one array."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system import progress


def filled(read: Callable[[bytes], np.ndarray], table: pa.Table, found: np.ndarray, label: str) -> None:
    """Put all rows into an array float32 `[n, width]`; one that doesn't fit the types of the training rows is all gaps.

    Args:
        read: makes float32 `[width]` of a row's bytes.
        label: what progress calls it.
    """
    rows = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
    unlike = []
    for place, row in enumerate(progress.tracked(rows, label, table.num_rows)):
        try:
            found[place] = read(content(*row))
        except Unreadable as reason:
            found[place] = np.nan
            unlike.append(f"{table['id'][place].as_py()}: {reason}")
    if unlike:
        progress.notice(f"{label}: {len(unlike)} rows count as gaps, such as {unlike[0]}")
