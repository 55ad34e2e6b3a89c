"""The door of segmentation: pictures, NIfTI volumes and DICOM series below a folder become rows, each with its mask."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import BLOCK, SPLITS, Listing, block
from horngate.pipelines.data.sources.folders import walk
from horngate.pipelines.data.sources.masks import Masks, masks_of
from horngate.pipelines.medical.scans import loader
from horngate.pipelines.medical.scans.reading import SUFFIXES
from horngate.pipelines.medical.scans.series import dicom_below, series_in
from horngate.pipelines.medical.scans.volumes import as_series
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system.files import printable

checked = loader.checked


def opens(path: Path, labelled: bool) -> bool:
    """Whether a folder or file is read here: every folder, and MedMNIST's files."""
    return path.is_dir() or loader.opens(path, labelled)


def blocks(path: Path, card: Data, labelled: bool, listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of a folder, in the order of names; of a MedMNIST file as the medical door does.

    DICOM files of one series are one row, which lies where they do. With `labelled` rows have the columns `mask` and
    `split` (by folders named train, validation and test); without, ids are the paths as given.
    """
    if not path.is_dir():
        yield from loader.blocks(path, card, labelled, listing)
        return
    masks = masks_of(card, path, labelled)
    found = iter(sorted(_found(path, masks, listing), key=lambda pair: os.fsencode(pair[0])))
    by_split = labelled and _by_split(path)
    while part := list(islice(found, BLOCK)):
        yield _block(path, part, masks if labelled else None, (labelled, by_split))
    if masks is not None and labelled:
        listing.masks_left += masks.left


def _found(root: Path, masks: Masks | None, listing: Listing) -> Iterator[tuple[str, list[str]]]:
    """Yield where each row lies, relative to the root, and the files that it is made of."""
    dicom = {os.path.relpath(path, root) for path in dicom_below(root)}
    for name in walk(root, SUFFIXES, listing):
        if masks is not None and masks.is_mask(name):
            listing.skipped["mask"] += 1
        elif name not in dicom:
            yield name, [name]
    by_folder: dict[str, list[str]] = {}
    for name in sorted(dicom, key=os.fsencode):
        if masks is None or not masks.is_mask(name):
            by_folder.setdefault(os.path.dirname(name), []).append(name)  # noqa: PTH120 - names may be no UTF-8
    for folder, names in by_folder.items():
        yield from _series(root, folder, names)


def _series(root: Path, folder: str, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the series among the DICOM files of one folder; one that has the folder to itself lies there as a whole."""
    try:
        found = series_in(root / name for name in names)
    except Unreadable:
        yield from ((name, [name]) for name in names)  # each says by itself what is wrong with it
        return
    for series in found:
        files = [os.path.relpath(one.path, root) for one in series.members]
        alone = len(found) == 1 and len(files) > 1 and folder
        yield (folder if alone else files[0]), files


def _block(root: Path, rows: list[tuple[str, list[str]]], masks: Masks | None, wishes: tuple[bool, bool]) -> pa.Table:
    labelled, by_split = wishes
    columns: dict[str, list] = {name: [] for name in ("id", "input", "value", "split", "group")}
    found: list[str | None] = []
    for place, files in rows:
        paths = [os.path.join(root, name) for name in files]  # noqa: PTH118 - keeps "./" as given
        named = place if labelled else os.path.join(root, place)  # noqa: PTH118
        columns["id"].append(printable(named.replace(os.sep, "/")))
        columns["input"].append(os.fsencode(paths[0]) if len(files) == 1 else None)
        columns["value"].append(as_series(paths) if len(files) > 1 else None)
        columns["group"].append(_patient(paths[0]) if len(files) > 1 else None)
        first = place.split(os.sep)[0].lower()  # noqa: PTH206
        columns["split"].append(SPLITS.get(first) if by_split else None)
        mask = None if masks is None else masks.of(place if len(files) == 1 else f"{place}.dcm")
        found.append(None if mask is None else printable(mask))
    return block(columns, {"mask": found} if labelled else None)


def _patient(path: str) -> str | None:
    try:
        return loader.patient_of(os.fsencode(path), None)
    except Unreadable:
        return None


def _by_split(root: Path) -> bool:
    """Whether all folders at the top are splits, one of them for training."""
    tops = [entry.name.lower() for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return "train" in tops and all(name in SPLITS for name in tops)
