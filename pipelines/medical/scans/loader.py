"""The medical door: MedMNIST files become rows, and rows of DICOM files get their patients."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.reading import in_order
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.medical.scans.dicom import NOBODY, header_of, is_dicom
from horngate.pipelines.medical.scans.medmnist import npz_blocks
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import Unreadable


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
