"""A task that answers whole blocks of rows by itself, such as lists of items for users."""

from abc import abstractmethod
from typing import Any

import pyarrow as pa

from horngate.pipelines.tasks.legacy_base import Pipeline


class BlockByBlock(Pipeline):
    """What tasks answer whose rows are told together."""

    @abstractmethod
    def said(self, block: pa.Table, labelled: bool) -> tuple[dict[str, Any] | None, list[int], list[str | None]]:
        """Return the answer columns of a block's rows that can be answered, the places of these, and why others can't."""
