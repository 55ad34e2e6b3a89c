"""Samples: small data that needs no network, for `sample:NAME`. Each is a file of its name, with `_` for `-`.

Its module has `table()`, which returns one block of rows, or `series()`, which returns the rows of each series by its name.
A file whose name begins with `_` is no sample.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pyarrow as pa

from horngate.pipelines.data.sources.tables import blocks_of
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError, nearest


def sample(name: str, card: Data | None = None, labelled: bool = True) -> Iterator[pa.Table]:
    """Yield the blocks of a sample; one of series needs the card, which says how long an input is.

    Raises:
        UserError: no such sample, or one of series for a task that can't read them.
    """
    module = sample_module(name)
    if hasattr(module, "series"):
        yield from _series(module.series(), name, card, labelled)
    else:
        yield _made(module)


def sample_module(name: str, package: str = __name__, of: str = "") -> ModuleType:
    """Return the module of a sample in a package of samples; `of` says of what these are, where one is unknown.

    Raises:
        UserError: no such sample.
    """
    known = sample_names(import_module(package).__path__)
    if name not in known:
        raise UserError(f'no sample "{name}"{of}.{nearest(name, known)} Known: {", ".join(known)}')
    return import_module(f"{package}.{name.replace('-', '_')}")


def sample_names(folders: Iterable[str] = __path__) -> list[str]:
    """Return the names of the samples in a package's folders, sorted."""
    return sorted(info.name.replace("_", "-") for info in iter_modules(folders) if not info.name.startswith("_"))


@lru_cache(maxsize=2)
def _made(module: ModuleType) -> pa.Table:
    """Return a sample, made once: a verb reads its inputs more than once."""
    return module.table()


def _series(files: dict[str, list[dict]], name: str, card: Data | None, labelled: bool) -> Iterator[pa.Table]:
    if card is None or card.rows.input != "window":
        raise UserError(f"sample:{name} holds series, which this task can't read")
    for file, rows in files.items():
        numbered = [(number, cells, None) for number, cells in enumerate(rows, 1)]
        yield from blocks_of(iter([(list(rows[0]), numbered)]), Path(f"sample:{name}"), card, labelled, file)
