"""What a run of a recommender keeps beside its model: its users, its items, and who met what."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from horngate.models.recommendation.interactions import Lists
from horngate.pipelines.recommendation.interactions.cases import lists_of, matrix
from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.recommendation.interactions.splits import TEST, TRAIN, VALIDATION
from horngate.pipelines.system.files import read_table, write_table

FILES = ("users.parquet", "items.parquet", "interactions.parquet")


@dataclass(frozen=True)
class InteractionStore:
    """What a run knows: interactions with their splits; those of the test are never among what is looked at.

    Attributes:
        log: all that may be looked at (training and validation), and while training also the test.
        sides: int8 `[n]`, the split of each.
        refit: whether the model learnt from the validation interactions too.
        featured: by role, bool `[users]` and `[items]`, which of them stand in a side table.
        by_features: whether the model answers for what side tables alone know.
        candidates: bool `[items]`, the only ones to choose from; None for all that can be recommended.
    """

    log: Log
    sides: np.ndarray
    refit: bool = False
    featured: dict[str, np.ndarray] = field(default_factory=dict)
    by_features: bool = False
    candidates: np.ndarray | None = None

    def lists(self, rows: np.ndarray) -> Lists:
        """Return who met what in some interactions (a mask), as models take it."""
        return lists_of(matrix(self.log, rows))

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 `[items]`: training interactions of each item."""
        return np.bincount(self.log.item[self.sides == TRAIN], minlength=len(self.log.items))

    @cached_property
    def learnt(self) -> csr_array:
        """float32 `[users, items]`: what the model learnt from, a user's items in the order of time."""
        return matrix(self.log, self.sides <= (VALIDATION if self.refit else TRAIN))

    @cached_property
    def train(self) -> csr_array:
        """float32 `[users, items]`: the training interactions."""
        return matrix(self.log, self.sides == TRAIN)

    def seen(self, split: str | None) -> csr_array:
        """Return what is masked when a split is answered: all that came before it; None: all that the run knows."""
        return self._nothing if split == "train" else self.train if split == "validation" else self._before_test

    @cached_property
    def _before_test(self) -> csr_array:
        return matrix(self.log, self.sides < TEST)

    @cached_property
    def _nothing(self) -> csr_array:
        return csr_array((len(self.log.users), len(self.log.items)), dtype=np.float32)

    @cached_property
    def bits(self) -> np.ndarray:
        """float64 `[items]`: -log2 of an item's share of the training users; a never met one counts as met half a time."""
        users = max(int((np.diff(self.train.indptr) > 0).sum()), 1)
        return -np.log2(np.minimum(np.maximum(self.counts, 0.5) / users, 1.0))

    @cached_property
    def learnt_items(self) -> np.ndarray:
        """bool `[items]`: which items the model learnt."""
        return np.bincount(self.learnt.indices, minlength=len(self.log.items)) > 0

    @cached_property
    def learnt_users(self) -> np.ndarray:
        """bool `[users]`: which users the model learnt."""
        return np.diff(self.learnt.indptr) > 0

    @cached_property
    def rankable(self) -> np.ndarray:
        """bool `[items]`: which can be recommended: those that were learnt, or that features tell enough of."""
        return self.learnt_items | self._read_by_features("item", len(self.log.items))

    @cached_property
    def answerable(self) -> np.ndarray:
        """bool `[users]`: whom the model knows something of: those who were learnt, or that features tell enough of."""
        return self.learnt_users | self._read_by_features("user", len(self.log.users))

    def _read_by_features(self, role: str, count: int) -> np.ndarray:
        nothing = np.zeros(count, bool)
        return self.featured.get(role, nothing) if self.by_features else nothing

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.log.users.to_pylist())}

    def users_of(self, names: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return the codes of users, int64 `[n]`, -1 for those that the run doesn't know."""
        if len(names) * 10 > len(self.log.users):
            return _codes(names, self.log.users)
        places = self._places  # kept, since a few users after few are asked for
        return np.array([places.get(name, -1) for name in names.to_pylist()], np.int64)

    def items_of(self, names: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return the codes of items, int64 `[n]`, -1 for those that the run doesn't know."""
        return _codes(names, self.log.items)

    def items_in(self, targets: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return offsets int64 `[n + 1]` and codes of the items in JSON lists, -1 for those that the run doesn't know."""
        found = [json.loads(target) for target in targets]
        offsets = np.concatenate([[0], np.cumsum([len(names) for names in found])])
        return offsets, self.items_of(pa.array([name for names in found for name in names], pa.string()))

    def write(self, folder: Path) -> None:
        """Write the three files; interactions of the test are not among them."""
        featured = {role: {"featured": pa.array(there)} for role, there in self.featured.items()}
        write_table(folder / FILES[0], pa.table({"id": self.log.users} | featured.get("user", {})))
        items = {"id": self.log.items, "count": self.counts}
        write_table(folder / FILES[1], pa.table(items | featured.get("item", {})))
        part = self.sides < TEST
        log = self.log.at(part)
        columns = {"user": log.user, "item": log.item, "side": self.sides[part]}
        columns |= {} if log.weight is None else {"weight": log.weight}
        columns |= {} if log.time is None else {"time": log.time}
        write_table(folder / FILES[2], pa.table(columns))

    @classmethod
    def read(cls, folder: Path, refit: bool, by_features: bool) -> "InteractionStore":
        """Return what `write` wrote.

        Raises:
            UserError: a file is missing or damaged.
        """
        users, items, rows = (read_table(folder / name) for name in FILES)
        columns = {name: rows[name].to_numpy() for name in rows.column_names}
        ids = (_whole(users["id"]), _whole(items["id"]))
        log = Log(*ids, columns["user"], columns["item"], columns.get("time"), columns.get("weight"))
        featured = {
            role: table["featured"].to_numpy()
            for role, table in (("user", users), ("item", items))
            if "featured" in table.column_names
        }
        return cls(log, columns["side"], refit, featured, by_features)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _codes(names: pa.Array | pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    return pc.index_in(names, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
