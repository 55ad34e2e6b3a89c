"""The medical loader: MedMNIST files become rows, and rows of DICOM files get their patients."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import in_order
from horngate.pipelines.data.sources.blocks import BLOCK, Listing, block
from horngate.pipelines.medical.scans.dicom import NOBODY, header_of, is_dicom
from horngate.pipelines.medical.scans.reading import as_bytes
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import Unreadable, UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}


def opens(path: Path, labelled: bool) -> bool:
    """Whether a file is read here: MedMNIST's."""
    return path.suffix.lower() == ".npz" and path.is_file()


def blocks(path: Path, card: Data, labelled: bool, listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of a file that `opens`."""
    yield from npz_blocks(path, card, labelled)


def checked(block: pa.Table) -> pa.Table:
    """Return a block with PatientID as the group of rows that are DICOM files and have no group of their own."""
    groups = block["group"].to_pylist()
    wanted = [row for row, group in enumerate(groups) if group is None]
    inputs, values = (block[name].to_pylist() for name in ("input", "value"))
    found = in_order(lambda row: patient_of(inputs[row], values[row]), wanted)
    for row, patient in zip(wanted, found, strict=True):
        groups[row] = None if isinstance(patient, Unreadable) else patient
    return block.set_column(block.column_names.index("group"), "group", pa.array(groups, pa.string()))


def patient_of(path: bytes | None, value: bytes | None) -> str | None:
    """Return the PatientID of a DICOM file, read from its header alone; None where there is none, or for another file.

    Raises:
        Unreadable: it begins like DICOM and can't be read.
    """
    if value is not None:
        return _patient(value) if is_dicom(value[:132]) else None
    try:
        with open(path or b"", "rb") as file:  # noqa: PTH123 - names that are no UTF-8 are bytes
            if not is_dicom(file.read(132)):
                return None
            file.seek(0, os.SEEK_SET)
            return _patient(file)
    except (OSError, ValueError):
        return None  # why, is said when it is read whole


def _patient(data) -> str | None:
    patient = " ".join(str(header_of(data, ("PatientID",)).get("PatientID") or "").split())
    return None if patient.casefold() in NOBODY else patient


def npz_blocks(path: Path, card: Data, labelled: bool) -> Iterator[pa.Table]:
    """Yield the rows of a MedMNIST file, `train_images`, `train_labels` and so on, with their splits.

    Labels are the numbers that stand there, as texts; of several columns, the numbers of those that hold 1, joined by the
    card's separator.

    Raises:
        UserError: no such file, arrays missing, or several labels without a separator.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path} is no readable .npz file of plain arrays") from None
    found = [name for name in SPLITS if f"{name}_images" in arrays]
    if not found:
        raise UserError(
            f"{path} holds no train_images, val_images or test_images. Found: {', '.join(arrays) or 'nothing'}"
        )
    for name in found:
        pixels, labels = arrays[f"{name}_images"], arrays.get(f"{name}_labels")
        if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3):
            raise UserError(
                f"{path}: {name}_images should be [n, h, w] or [n, h, w, 3]. Received: {list(pixels.shape)}"
            )
        if labelled and (labels is None or len(labels) != len(pixels)):
            raise UserError(f"{path}: {name}_labels should have as many rows as {name}_images")
        targets = _targets(labels, card, path) if labelled else [None] * len(pixels)
        for start in range(0, len(pixels), BLOCK):
            rows = range(start, min(start + BLOCK, len(pixels)))
            columns = {"id": [f"{name}/{row}" for row in rows], "value": [as_bytes(pixels[row]) for row in rows]}
            columns |= {"target": [targets[row] for row in rows], "split": [SPLITS[name] for _ in rows]}
            yield block(columns)


def _targets(labels: np.ndarray, card: Data, path: Path) -> list[str]:
    table = labels.reshape(len(labels), -1)
    if table.shape[1] == 1:
        return [str(value) for value in table[:, 0].tolist()]
    separator = getattr(card, "label_separator", None)
    if separator is None:
        raise UserError(f"{path} holds {table.shape[1]} labels a picture; give --label-separator ';' to learn them all")
    return [separator.join(map(str, np.flatnonzero(row))) for row in table]
