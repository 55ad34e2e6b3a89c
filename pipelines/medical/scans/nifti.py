"""NIfTI: a volume turned to the axes that DICOM has, by nibabel, and masks turned back."""

from io import BytesIO
from typing import Any

import numpy as np

from horngate.pipelines.medical.scans.dicom import MOST_VOXELS
from horngate.pipelines.medical.scans.scan import Scan, plain
from horngate.pipelines.spec.errors import Unreadable, needed

FLIP = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # NIfTI counts mm to the right and to the front, DICOM to the left and to the back


def nibabel_package() -> Any:
    """Return nibabel.

    Raises:
        UserError: it isn't installed.
    """
    return needed("nibabel", "reading NIfTI", "medical")


def is_nifti(data: bytes) -> bool:
    """Whether bytes are a NIfTI file in one part, of version 1 or 2."""
    return data[344:348] == b"n+1\x00" or data[4:8] == b"n+2\x00"


def kind_of(beginning: bytes) -> type:
    """Return nibabel's class of a NIfTI file by its first bytes.

    Raises:
        UserError: nibabel isn't installed.
    """
    nibabel = nibabel_package()
    return nibabel.Nifti1Image if beginning[344:348] == b"n+1\x00" else nibabel.Nifti2Image


def whole_shape(shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, int, int]:
    """Return columns, rows and planes of a file, which are 1 where it has no such axis.

    Raises:
        Unreadable: another number of dimensions, no plain numbers, or too large.
    """
    if len(shape) < 2 or any(length != 1 for length in shape[3:]) or min(shape) < 1:
        sides = " × ".join(map(str, shape))
        raise Unreadable(f"{len(shape)} dimensions ({sides}); a plane or one volume can be read, no series of them")
    if dtype.fields is not None or dtype.kind not in "uif":
        raise Unreadable("its values are no plain numbers (colours or complex ones)")
    count = int(np.prod(shape, dtype=np.int64))
    if count > MOST_VOXELS:
        raise Unreadable(f"too many pixels: {count:,}; at most {MOST_VOXELS:,} are decoded")
    return (*shape[:3], *(1,) * (3 - len(shape[:3])))


def placing(affine: np.ndarray, whole: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return how axes are turned to those of DICOM, as nibabel has it, and the affine from the turned ones to LPS mm.

    Raises:
        Unreadable: the affine is singular.
    """
    orientations = nibabel_package().orientations
    try:
        turn = orientations.ornt_transform(
            orientations.io_orientation(affine), orientations.axcodes2ornt(("L", "P", "S"))
        )
    except Exception as problem:  # whatever nibabel and NumPy raise on numbers that are none
        raise Unreadable(f"damaged affine ({type(problem).__name__})") from None
    if np.isnan(turn).any():
        raise Unreadable("its affine is singular, so nobody knows which way it lies")
    return turn, FLIP @ affine @ orientations.inv_ornt_aff(turn, whole)


def read_nifti(data: bytes) -> Scan:
    """Return the scan of a NIfTI file, its slices from the feet to the head, rows to the back, columns to the left.

    A plane or a volume can be read, with axes of length 1 beside; values are scaled by the header's slope and intercept.

    Raises:
        Unreadable: another number of dimensions, no plain numbers, truncated, or too large.
        UserError: nibabel isn't installed.
    """
    kind = kind_of(data)
    try:
        image = kind.from_bytes(data)
        shape, dtype = image.shape, image.get_data_dtype()
    except Exception as problem:  # whatever nibabel raises on a damaged header
        raise Unreadable(f"damaged NIfTI header ({type(problem).__name__})") from None
    whole = whole_shape(shape, dtype)
    try:
        values = np.asanyarray(image.dataobj).reshape(whole)
        affine = np.asarray(image.affine, np.float64)
    except Exception as problem:  # as above
        raise Unreadable(f"truncated or damaged NIfTI ({type(problem).__name__})") from None
    turn, placed = placing(affine, whole)
    converted = []
    if int(image.header["qform_code"]) == 0 and int(image.header["sform_code"]) == 0:
        converted.append("no orientation in the header: axes as they are stored")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise Unreadable("none of its values is a number")
        values = np.nan_to_num(values, nan=finite.min(), posinf=finite.max(), neginf=finite.min())
        converted.append("values that are no numbers: the lowest")
    turned = nibabel_package().orientations.apply_orientation(values, turn)
    pixels = plain(np.ascontiguousarray(turned.transpose(2, 1, 0)))
    across, down, through = np.sqrt((placed[:3, :3] ** 2).sum(0)).tolist()
    return Scan(
        pixels=pixels[..., None],
        kind="nifti",
        limits=(0.0, 255.0) if pixels.dtype == np.uint8 else None,
        spacing=(through, down, across),
        affine=placed,
        converted=tuple(converted),
        origin=(affine, shape),
    )


def as_nifti(values: np.ndarray, scan: Scan) -> bytes:
    """Return values `[slices, h, w]` of a scan's shape as the bytes of a `.nii` file that lies on the scan.

    Of a NIfTI scan, axes and affine are those of its own file; of another, axes are (column, row, slice), and the affine
    is the scan's, or mm per pixel where only these are known.

    Raises:
        ValueError: another shape.
    """
    nibabel = nibabel_package()
    orientations = nibabel.orientations
    if values.shape != scan.pixels.shape[:3]:
        raise ValueError(f"values should have the shape {scan.pixels.shape[:3]}. Received: {values.shape}")
    laid = values.transpose(2, 1, 0)
    if isinstance(scan.origin, tuple):
        affine, shape = scan.origin
        lying, wanted = orientations.axcodes2ornt(("L", "P", "S")), orientations.io_orientation(affine)
        laid = orientations.apply_orientation(laid, orientations.ornt_transform(lying, wanted)).reshape(shape)
    else:
        through, down, across = (length or 1.0 for length in scan.spacing)
        affine = FLIP @ (np.diag([across, down, through, 1.0]) if scan.affine is None else scan.affine)
    image = nibabel.Nifti1Image(np.ascontiguousarray(laid), affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    if len(laid.shape) >= 3:
        image.header.set_xyzt_units("mm")
    out = BytesIO()
    image.to_file_map({"image": nibabel.FileHolder(fileobj=out)})
    return out.getvalue()
