"""Sources: whatever `--data` names becomes blocks of rows in one schema, which everything behind them works on.

A task with formats of its own, or with targets that can be malformed, names a module as its rows' `loader`. It has some
of these functions: `checked(block)` returns any labelled block with its targets in the form that the task learns from, and
with the reason as `error` where one is malformed; `opens(path, labelled)` says whether it reads a file or folder in place
of the usual sources, and `blocks(path, card, labelled, listing)` yields the blocks of one that it opens; `sampled(name)`
yields a sample to be answered, where that is no labelled one without its labels.
"""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from horngate.pipelines.data.privacy import hidden
from horngate.pipelines.data.samples import sample
from horngate.pipelines.data.sources.blocks import Listing, block
from horngate.pipelines.data.sources.folders import class_folders, files_below, globbed, walk
from horngate.pipelines.data.sources.masks import masks_of
from horngate.pipelines.data.sources.table_files import TABLES
from horngate.pipelines.data.sources.tables import live_blocks, table_blocks
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import printable


def examples(card: Data, suffixes: tuple[str, ...], listing: Listing | None = None) -> pa.Table:
    """Return all rows of the card's data, with unique ids.

    Raises:
        UserError: nothing there, a column missing, an id that stands twice in the id column.
    """
    if card.data is None:
        raise UserError("no data: give --data a folder, a table, tfds:NAME or sample:NAME")
    blocks = list(labelled(card.data, card, suffixes, listing or Listing()))
    table = pa.concat_tables(blocks, promote_options="default") if blocks else block({"id": []})
    if table.num_rows == 0:
        raise UserError(f"{card.data} holds no rows that this task can use")
    return _with_unique_ids(table, given=card.id_column is not None)


def labelled(source: str, card: Data, suffixes: tuple[str, ...], listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of a labelled source; of a task whose rows are about people, with pseudonyms."""
    found = _labelled(source, card, suffixes, listing)
    yield from hidden(found, card, source) if card.rows.private else found


def _labelled(source: str, card: Data, suffixes: tuple[str, ...], listing: Listing) -> Iterator[pa.Table]:
    loader, path = _own_loader(card), Path(source)
    if not source.startswith(("sample:", "tfds:")) and _opens(loader, path, labelled=True):
        blocks = loader.blocks(path, card, True, listing)
    else:
        blocks = _common(source, card, suffixes, listing)
    yield from map(loader.checked, blocks) if hasattr(loader, "checked") else blocks


def _own_loader(card: Data) -> ModuleType | None:
    return None if card.rows.loader is None else import_module(f"horngate.pipelines.{card.rows.loader}")


def _opens(loader: ModuleType | None, path: Path, labelled: bool) -> bool:
    return hasattr(loader, "opens") and path.exists() and loader.opens(path, labelled)


def _common(source: str, card: Data, suffixes: tuple[str, ...], listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of a labelled source that every task can have."""
    if source.startswith("sample:"):
        yield from sample(source.removeprefix("sample:"), card)
    elif source.startswith("tfds:"):
        from horngate.pipelines.data.sources.tfds import tfds_blocks

        yield from tfds_blocks(source.removeprefix("tfds:"), card)
    else:
        path = Path(source)
        if path.is_dir() and card.rows.input == "window":
            yield from table_files(path, card, listing, labelled=True)
        elif path.is_dir():
            yield from class_folders(path, suffixes, listing, masks_of(card, path), "target" not in card.rows.blank)
        elif path.suffix.lower() in TABLES and path.exists():
            yield from table_blocks(path, card, labelled=True)
        elif path.exists():
            raise UserError(f"{source} is neither a folder nor one of {', '.join(TABLES)}")
        else:
            raise UserError(f"{source} doesn't exist")


def unlabelled(inputs: list[str], card: Data, suffixes: tuple[str, ...], listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of inputs to predict: files, folders, globs and tables, in the order given."""
    for source in inputs:
        found = _unlabelled(source, card, suffixes, listing)
        yield from hidden(found, card, source) if card.rows.private else found


def _unlabelled(source: str, card: Data, suffixes: tuple[str, ...], listing: Listing) -> Iterator[pa.Table]:
    loader, path = _own_loader(card), Path(source)
    if source.startswith("sample:") and hasattr(loader, "sampled"):
        yield loader.sampled(source.removeprefix("sample:"))
    elif source.startswith("sample:"):
        yield from map(_without_masks, sample(source.removeprefix("sample:"), card, labelled=False))
    elif source == "-" and card.rows.input != "file":
        yield from live_blocks(card)
    elif _opens(loader, path, labelled=False):
        yield from loader.blocks(path, card, False, listing)
    elif path.is_dir() and card.rows.input == "window":
        yield from table_files(path, card, listing, labelled=False)
    elif path.is_dir():
        yield from files_below(path, suffixes, listing, masks_of(card, path, labelled=False))
    elif path.suffix.lower() in TABLES and path.is_file():
        yield from table_blocks(path, card, labelled=False)
    elif path.is_symlink() or path.exists() or not any(sign in source for sign in "*?["):
        yield from files_below(path, suffixes, listing)  # a single file; a missing one becomes an error row
    else:
        yield from globbed(source)


def _without_masks(table: pa.Table) -> pa.Table:
    return table.drop_columns("mask") if "mask" in table.column_names else table


def table_files(root: Path, card: Data, listing: Listing, labelled: bool) -> Iterator[pa.Table]:
    """Yield the blocks of all tables below a folder, each a series or several."""
    for name in walk(root, TABLES, listing):
        yield from table_blocks(root / name, card, labelled, printable(name))


def _with_unique_ids(table: pa.Table, given: bool) -> pa.Table:
    ids, seen = table["id"].to_pylist(), Counter()
    if len(set(ids)) == len(ids):
        return table
    if given:
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise UserError(f'the id column should hold each id once; "{twice}" stands there more than once')
    for place, name in enumerate(ids):
        seen[name] += 1
        if seen[name] > 1:
            ids[place] = f"{name}#{seen[name]}"
    return table.set_column(0, "id", pa.array(ids, pa.string()))
