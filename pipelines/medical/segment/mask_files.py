"""Masks as files: a PNG for a picture, a NIfTI on the same affine for a volume, written plane by plane."""

import gzip
import hashlib
import re
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from horngate.pipelines.medical.scans.nifti import FLIP, as_nifti, nibabel_package
from horngate.pipelines.medical.scans.nifti_planes import Laid
from horngate.pipelines.medical.scans.volumes import Volume
from horngate.pipelines.medical.segment.class_maps import Classes
from horngate.pipelines.system.files import whole

NAMED = 80  # signs of an id in a file's name
LAID = ("dim_info", "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
LAID += (
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)  # no text: it may be personal


class MaskFile:
    """The mask of a volume while it is written; it appears when it is `finished`, with all planes.

    Args:
        volume: what it is the mask of.
        classes: give the values that are written.
        folder: where.
        name: of the row; another name gives another file.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, volume: Volume, classes: Classes, folder: Path, name: str):
        self.volume, self.classes = volume, classes
        self.stored = volume.laid is None and volume.first.kind == "nifti"
        self.picture = volume.flat and volume.laid is None and not self.stored
        self.path = folder / f"{file_name(name)}{'.png' if self.picture else '.nii.gz'}"
        self.stack, self.out, self.planes = ExitStack(), None, []

    def put(self, plane: np.ndarray) -> None:
        """Take the class numbers, uint8 `[h, w]`, of the next plane in the order of the volume's file."""
        values = self.classes.filed(plane)
        if self.stored:  # its planes lie across those of the file
            self.planes.append(values)
            return
        if self.out is None:
            temporary = self.stack.enter_context(whole(self.path))
            plainer = self.stack.enter_context(temporary.open("wb"))
            if self.picture:
                self.out = plainer
            else:
                self.out = self.stack.enter_context(gzip.GzipFile("", "wb", 4, plainer, mtime=0))
                self.out.write(_header(self.volume, values.dtype))
        if self.picture:
            encoded = BytesIO()
            Image.fromarray(values if values.dtype == np.uint8 else values.astype(np.uint16)).save(encoded, "PNG")
            self.out.write(encoded.getvalue())
        else:
            laid = self.volume.laid
            stored = values.T if laid is None else laid.back(values)
            self.out.write(np.asfortranarray(stored).tobytes("F"))

    def finish(self) -> str:
        """Close the file and give it its name; return its path."""
        if self.stored:
            with whole(self.path) as temporary:
                temporary.write_bytes(gzip.compress(as_nifti(np.stack(self.planes), self.volume.first), 4, mtime=0))
        self.stack.close()
        return str(self.path)

    def abandon(self) -> None:
        """Leave no file behind."""
        self.stack.__exit__(Abandoned, Abandoned(), None)


class Abandoned(Exception):
    """Raised inside `whole`, so that it removes its temporary file."""


def _header(volume: Volume, dtype: np.dtype) -> bytes:
    """Return the bytes before the values of a NIfTI file that lies on a volume."""
    laid = volume.laid
    header = nibabel_package().Nifti1Header() if laid is None else laid.header.__class__()
    planes, height, width = volume.shape
    header.set_data_shape((width, height, planes) if laid is None else laid.shape)
    header.set_data_dtype(dtype)
    if laid is None:
        through, down, across = (step or 1.0 for step in volume.spacing)
        placed = np.diag([across, down, through, 1.0]) if volume.affine is None else volume.affine
        header.set_qform(FLIP @ placed, 1)
        header.set_sform(FLIP @ placed, 1)
        header.set_xyzt_units("mm")
    else:
        _take_over(header, laid)
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["vox_offset"] = header.single_vox_offset
    return header.binaryblock.ljust(int(header.single_vox_offset), b"\0")


def _take_over(header: Any, laid: Laid) -> None:
    for name in LAID:
        header[name] = laid.header[name]


def file_name(name: str) -> str:
    """Return a file name for an id: readable, short, and another one for every id."""
    last = "_".join(Path(name).parts[-2:])
    for suffix in (".gz", ".nii", ".png", ".jpg", ".tif", ".tiff", ".dcm"):
        last = last.removesuffix(suffix)
    stem = re.sub(r"[^\w.-]+", "_", last)[-NAMED:].strip("._")
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
