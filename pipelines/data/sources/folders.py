"""Folders as sources: one sub-folder a class, with train/validation/test above that or not; and plain lists of files."""

import glob
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import BLOCK, SPLITS, Listing, block
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import printable

if TYPE_CHECKING:
    from horngate.pipelines.data.sources.masks import Masks

CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "DICOMDIR")


def class_folders(
    root: Path, suffixes: tuple[str, ...], listing: Listing, masks: "Masks | None" = None, needed: bool = True
) -> Iterator[pa.Table]:
    """Yield blocks of a folder whose first level names the class (or the split, and the second the class).

    With `masks` the column `mask` holds the path of each picture's mask, where it has one. Unless a class is `needed`, files
    may lie in no class folder.
    """
    tops = [entry.name for entry in os.scandir(root) if _is_folder(entry) and not _hidden(entry.name)]
    tops = [name for name in tops if masks is None or name != masks.inside]
    by_split = bool(tops) and all(name.lower() in SPLITS for name in tops) and "train" in map(str.lower, tops)
    for paths in _batches(_pictures(walk(root, suffixes, listing), masks, listing)):
        columns: dict[str, list] = {name: [] for name in ("id", "input", "target", "split", "error")}
        for path in paths:
            parts = path.split(os.sep)  # noqa: PTH206 - names that are no UTF-8 stay as they are
            split = SPLITS[parts.pop(0).lower()] if by_split and len(parts) > 1 else None
            classed = len(parts) > 1
            wrong = needed and not classed
            columns["id"].append(printable(path.replace(os.sep, "/")))
            columns["input"].append(os.fsencode(root / path))
            columns["target"].append(printable(parts[0]) if classed else None)
            columns["split"].append(split)
            columns["error"].append("no target: it lies in no class folder" if wrong else None)
        yield block(columns, None if masks is None else {"mask": _named_masks(masks, paths)})


def files_below(
    root: Path, suffixes: tuple[str, ...], listing: Listing, masks: "Masks | None" = None
) -> Iterator[pa.Table]:
    """Yield blocks of the files below a folder that are no masks, or of one file; ids are the paths as given."""
    if root.is_dir():
        below = _pictures(walk(root, suffixes, listing), masks, listing)
        found = (os.path.join(root, path) for path in below)  # noqa: PTH118 keeps "./" as given
    else:
        found = iter([os.fspath(root)])
    yield from _path_blocks(found)


def globbed(pattern: str) -> Iterator[pa.Table]:
    """Yield blocks of the files that a glob matches (`**` crosses folders), sorted by name.

    Raises:
        UserError: the pattern matches nothing.
    """
    found = sorted(path for path in glob.iglob(pattern, recursive=True) if not Path(path).is_dir())  # noqa: PTH207
    if not found:
        raise UserError(f"{pattern} matches no file")
    yield from _path_blocks(iter(found))


def walk(root: Path, suffixes: tuple[str, ...], listing: Listing) -> Iterator[str]:
    """Yield paths relative to `root`, sorted within each folder; hidden files are left out, loops of links refused.

    Args:
        suffixes: of inputs, in lower case; an empty one stands for names without a suffix, or with a number for one.
    """
    named = tuple(suffix for suffix in suffixes if suffix)

    def wanted(name: str) -> bool:
        suffix = Path(name).suffix
        return name.lower().endswith(named) or ("" in suffixes and (not suffix or suffix[1:].isdigit()))

    def below(folder: Path, relative: str, above: frozenset) -> Iterator[str]:
        try:
            place, entries = folder.stat(), sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as problem:
            raise UserError(f"can't list {printable(folder)}: {problem.strerror}") from None
        key = (place.st_dev, place.st_ino)
        if key in above:
            listing.loops.append(printable(relative))
            return
        for entry in entries:
            if _hidden(entry.name):
                continue
            path = f"{relative}{os.sep}{entry.name}" if relative else entry.name
            if _is_folder(entry):
                yield from below(folder / entry.name, path, above | {key})
            elif wanted(entry.name):
                yield path
            else:
                listing.skipped[Path(entry.name).suffix.lower() or "no suffix"] += 1

    yield from below(root, "", frozenset())


def _named_masks(masks: "Masks", paths: list[str]) -> list[str | None]:
    found = (masks.of(path) for path in paths)
    return [None if path is None else printable(path) for path in found]


def _pictures(paths: Iterator[str], masks: "Masks | None", listing: Listing) -> Iterator[str]:
    """Yield the paths that are no masks; the others are counted as skipped."""
    for path in paths:
        if masks is not None and masks.is_mask(path):
            listing.skipped["mask"] += 1
        else:
            yield path


def _path_blocks(paths: Iterator[str]) -> Iterator[pa.Table]:
    for batch in _batches(paths):
        names = [printable(path.replace(os.sep, "/")) for path in batch]
        yield block({"id": names, "input": [os.fsencode(path) for path in batch]})


def _batches(items: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(items, BLOCK)):
        yield batch


def _is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads back to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in CLUTTER
