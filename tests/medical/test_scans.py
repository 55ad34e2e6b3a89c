"""Scans: files of hospitals become pixels in their own units, or are refused with a reason."""

import gzip
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import labelled
from horngate.pipelines.medical import Diagnose
from horngate.pipelines.medical.diagnose.preprocessing import ScanPreprocessing
from horngate.pipelines.medical.scans.dicom import unzipped
from horngate.pipelines.medical.scans.nifti import as_nifti, read_nifti
from horngate.pipelines.medical.scans.reading import as_bytes, scan_of
from horngate.pipelines.medical.scans.scan import Window, greys, window_named
from horngate.pipelines.medical.scans.series import dicom_below, series_in
from horngate.pipelines.spec.errors import Unreadable, UserError

PYDICOM = Path(pydicom.__file__).parent / "data"
NIBABEL = Path(nibabel.__file__).parent
UNDECODABLE = {  # files that ship broken on purpose, or in a form that no decoder at hand takes
    "JPEG-lossy.dcm": "can't be decoded",
    "JPEG2000-embedded-sequence-delimiter.dcm": "can't be decoded",
    "MR_truncated.dcm": "truncated",
    "badVR.dcm": "no numbers",
    "meta_missing_tsyntax.dcm": "no numbers",
    "nested_priv_SQ.dcm": "no numbers",
    "no_meta.dcm": "transfer syntax is unknown",
    "ExplVR_BigEndNoMeta.dcm": "no readable",
    "ExplVR_LitEndNoMeta.dcm": "transfer syntax is unknown",
}


def dicom_files() -> list[Path]:
    found = [path for path in PYDICOM.rglob("*") if path.is_file() and not path.name.endswith((".py", ".pyc"))]
    return sorted(found) + sorted(NIBABEL.rglob("*.dcm")) + sorted(NIBABEL.rglob("*.dcm.gz"))


def has_pixels(path: Path) -> bool:
    try:
        found = pydicom.dcmread(BytesIO(content_of(path)), force=True)
        return any(name in found for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
    except Exception:
        return False


def content_of(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def test_every_dicom_file_that_ships_with_its_libraries_is_read_as_pydicom_does_or_refused_with_a_reason():
    read = refused = 0
    for path in dicom_files():
        pixels = has_pixels(path)
        try:
            scan = scan_of(path.read_bytes())
        except Unreadable as reason:
            assert not pixels or UNDECODABLE[path.name] in str(reason), path.name
            refused += 1
            continue
        assert pixels and path.name not in UNDECODABLE, path.name
        found = pydicom.dcmread(BytesIO(content_of(path)), force=True)
        wanted = found.pixel_array
        if found.PhotometricInterpretation == "PALETTE COLOR":
            wanted = apply_color_lut(wanted, found)
        elif not scan.colour and "SharedFunctionalGroupsSequence" not in found:
            wanted = apply_modality_lut(wanted, found)
        assert np.array_equal(scan.pixels, wanted.reshape(scan.pixels.shape).astype(scan.pixels.dtype)), path.name
        levels, _ = greys(scan)
        assert levels.shape == scan.pixels.shape and levels.min() >= 0 and levels.max() <= 255
        read += 1
    assert read > 90 and refused > 50


def test_every_nifti_file_that_ships_with_nibabel_is_read_as_nibabel_does_or_refused_with_a_reason():
    read = 0
    for path in sorted((*NIBABEL.rglob("*.nii"), *NIBABEL.rglob("*.nii.gz"))):
        try:
            scan = scan_of(path.read_bytes())
        except Unreadable as reason:
            image = nibabel.load(path)
            assert isinstance(image, nibabel.Cifti2Image) or len(image.shape) > 3, path.name
            assert "dimensions" in str(reason)
            continue
        canonical = nibabel.as_closest_canonical(nibabel.load(path))
        values = np.asanyarray(canonical.dataobj)
        values = np.nan_to_num(values, nan=np.nanmin(values))
        assert np.array_equal(values[::-1, ::-1].transpose(2, 1, 0), scan.pixels[..., 0]), path.name
        sizes = np.asarray(canonical.header.get_zooms()[::-1], float)
        assert np.allclose(scan.spacing, sizes, rtol=1e-5), path.name
        read += 1
    assert read >= 4


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_a_nifti_mask_lies_on_its_scan_with_the_same_affine_whatever_its_axes(axes):
    draw = np.random.default_rng(0)
    turn = nibabel.orientations.axcodes2ornt(axes)
    plain = nibabel.Nifti1Image(draw.integers(-900, 900, (7, 5, 4)).astype(np.int16), np.diag([0.7, 0.8, 2.5, 1]))
    image = plain.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(plain.affine), turn))
    image = nibabel.Nifti1Image.from_bytes(image.to_bytes())
    scan = read_nifti(image.to_bytes())
    mask = (scan.pixels[..., 0] > 100).astype(np.uint8)
    back = nibabel.Nifti1Image.from_bytes(as_nifti(mask, scan))
    assert np.array_equal(back.affine, image.affine) and back.shape == image.shape
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(image.dataobj) > 100)
    assert scan.pixels.shape == (4, 5, 7, 1) and np.allclose(scan.spacing, (2.5, 0.8, 0.7))
    assert np.array_equal(scan.pixels, read_nifti(plain.to_bytes()).pixels)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((4, 4, 3, 2), np.int16), "4 dimensions"),
        (np.zeros(5, np.int16), "1 dimensions"),
        (np.zeros((4, 4, 3), np.complex64), "no plain numbers"),
        (np.full((4, 4, 3), np.nan, np.float32), "none of its values"),
    ],
)
def test_a_nifti_file_that_is_no_volume_is_refused(values, said):
    with pytest.raises(Unreadable, match=said):
        scan_of(nibabel.Nifti1Image(values, np.eye(4)).to_bytes())


def test_a_truncated_nifti_file_is_refused():
    data = nibabel.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4)).to_bytes()
    for broken in (data[:-200], gzip.compress(data)[:-40], data[:400]):
        with pytest.raises(Unreadable):
            scan_of(broken)


def test_a_gzip_bomb_is_refused_before_it_grows():
    with pytest.raises(Unreadable, match="too large"):
        unzipped(gzip.compress(bytes(5_000_000)), 1_000_000)


def made(pixels: np.ndarray, **elements) -> pydicom.Dataset:
    """Return a DICOM data set of grey pixels `[h, w]`."""
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = pydicom.uid.generate_uid()
    found.Rows, found.Columns = pixels.shape[-2:]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(found, name, value)
    return found


def written(found: pydicom.Dataset) -> bytes:
    out = BytesIO()
    found.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_low_values_are_dark_whatever_the_photometric_interpretation():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    plain, _ = greys(scan_of(written(made(pixels))))
    inverted = scan_of(written(made(pixels, PhotometricInterpretation="MONOCHROME1")))
    assert np.array_equal(greys(inverted)[0], 255 - plain) and inverted.converted == ("MONOCHROME1",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TransferSyntaxUID": "1.2.3.4"}, "unknown transfer syntax"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.1"}, "unknown transfer syntax"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.4.50"}, "can't be decoded"),
    ],
)
def test_an_unknown_or_wrong_transfer_syntax_is_refused(changes, said):
    found = made(np.zeros((16, 16), np.uint8))
    data = written(found)
    wrong = changes["TransferSyntaxUID"]
    old = b"1.2.840.10008.1.2.1\0"
    assert data.count(old) == 1
    fitted = wrong.encode().ljust(len(old), b"\0") if len(wrong) <= len(old) else None
    if fitted is None:
        found.file_meta.TransferSyntaxUID = wrong
        found.PixelData = pydicom.encaps.encapsulate([b"no JPEG at all"])
        found["PixelData"].is_undefined_length = True
        fitted, data = b"", written(found)
        old = b""
    with pytest.raises(Unreadable, match=said):
        scan_of(data.replace(old, fitted) if old else data)


def test_a_file_without_pixels_says_what_it_is_and_nothing_of_its_content():
    found = made(np.zeros((16, 16), np.uint8))
    del found.PixelData
    with pytest.raises(Unreadable, match=r"no pixels in this DICOM file \(CT Image Storage\)"):
        scan_of(written(found))


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch, tmp_path):
    (tmp_path / "ill").mkdir()
    (tmp_path / "ill/one.dcm").write_bytes(written(made(np.zeros((16, 16), np.uint8))))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError) as problem:
        list(labelled(str(tmp_path), Diagnose(), (".dcm",), Listing()))
    assert str(problem.value) == "reading DICOM needs pydicom: install horngate[medical]"
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"needs nibabel: install horngate\[medical\]"):
        read_nifti(b"")


def test_the_colours_of_a_palette_keep_their_range():
    scan = scan_of((PYDICOM / "test_files/examples_palette.dcm").read_bytes())
    levels, _ = greys(scan)
    assert scan.colour and scan.pixels.max() > 255 and np.allclose(levels, scan.pixels / 257, atol=1)


def test_a_window_is_the_one_of_the_standard():
    pixels = np.linspace(-1000, 1000, 256).astype(np.int16).reshape(16, 16)
    found = made(pixels, WindowCenter=40, WindowWidth=400)
    levels, said = greys(scan_of(written(found)))
    wanted = apply_voi_lut(pixels, found)
    wanted = (wanted - wanted.min()) / (wanted.max() - wanted.min()) * 255
    assert np.allclose(levels[0, ..., 0], wanted, atol=1e-3) and said == "by the file's own window"
    lung, said = greys(scan_of(written(found)), window_named("lung"))
    assert (lung[0, pixels < -1350, 0] == 0).all() and (lung[0, pixels > 150, 0] == 255).all() and "--window" in said
    whole, said = greys(scan_of(written(found)), "none")
    assert len(np.unique(whole)) > 250 and "own range" in said


def test_each_frame_of_an_enhanced_file_is_rescaled_by_its_own_slope():
    pixels = np.full((2, 16, 16), 10, np.int16)
    found = made(pixels, NumberOfFrames=2)
    groups = []
    for slope in (1, 3):
        item = pydicom.Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = slope, -5, "HU"
        group = pydicom.Dataset()
        group.PixelValueTransformationSequence = [item]
        groups.append(group)
    found.PerFrameFunctionalGroupsSequence = groups
    scan = scan_of(written(found))
    assert (scan.pixels[0] == 5).all() and (scan.pixels[1] == 25).all()


@pytest.mark.parametrize("name", ["lungs", "40", "40,0", "40,-3", "a,b"])
def test_an_unknown_window_says_which_there_are(name):
    with pytest.raises(UserError, match="lung, bone, brain"):
        window_named(name)


def test_a_window_of_a_sigmoid_and_of_a_table():
    assert Window(0, 4, "sigmoid")(np.array([0.0])) == pytest.approx(0.5)
    table = Window(10, table=np.array([0.0, 0.25, 1.0]))
    assert table(np.array([0, 10, 11, 12, 99])).tolist() == [0, 0, 0.25, 1, 1]


def test_16_bit_pictures_keep_all_their_levels():
    pixels = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "TIFF")
    scan = scan_of(out.getvalue())
    assert np.array_equal(scan.pixels[0, ..., 0], pixels) and scan.pixels.dtype == np.uint16
    assert len(np.unique(greys(scan)[0])) == 400


def test_what_is_no_scan_is_refused_without_a_word_of_its_content():
    for data in (b"Doe^John 1970", b"", b"DICM" * 50, b"\x93NUMPY" + b"Doe" * 9, b"\x1f\x8bDoe^John"):
        with pytest.raises(Unreadable) as problem:
            scan_of(data)
        assert "Doe" not in str(problem.value)


def test_a_file_of_several_slices_asks_which_one_to_look_at():
    volume = as_bytes(np.arange(5 * 16 * 16, dtype=np.uint16).reshape(5, 16, 16))
    with pytest.raises(Unreadable, match="5 slices; say which one to look at with --slice"):
        ScanPreprocessing().inspect(volume)
    middle = ScanPreprocessing(slice="middle", size=16, dtype="float32").read(volume)
    assert np.allclose(middle * 257, np.arange(512, 768).reshape(16, 16, 1), atol=1e-2)


def test_a_grey_network_refuses_colours_and_a_colour_network_takes_greys():
    grey, colour = np.full((16, 16), 7, np.uint8), np.full((16, 16, 3), (1, 2, 3), np.uint8)
    with pytest.raises(Unreadable, match="colours"):
        ScanPreprocessing(size=8).read(as_bytes(colour))
    assert ScanPreprocessing(size=8, channels=3).read(as_bytes(grey)).shape == (8, 8, 3)
    assert (ScanPreprocessing(size=8, channels=3).read(as_bytes(colour)) == (1, 2, 3)).all()


def slices(folder: Path, depths, spacing=(0.7, 0.7), series="1.2.3", **elements) -> None:
    """Write one file of a series for each depth in mm; its pixels hold the number of the depth in order of size."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, depth in enumerate(depths):
        pixels = np.full((12, 10), sorted(depths).index(depth), np.int16)
        found = made(pixels, SeriesInstanceUID=series, PatientID="P-1", PixelSpacing=list(spacing), **elements)
        found.ImagePositionPatient, found.ImageOrientationPatient = [-10, -20, depth], [1, 0, 0, 0, 1, 0]
        (folder / f"{number}.dcm").write_bytes(written(found))


def test_files_of_a_series_are_put_in_order_by_where_they_lie(tmp_path):
    slices(tmp_path / "a", [5.0, -2.5, 0.0, 2.5])
    slices(tmp_path / "b", [1.0], series="9.9")
    first, second = series_in(dicom_below(tmp_path))
    scan = first.scan()
    assert scan.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3] and scan.spacing == (2.5, 0.7, 0.7)
    assert np.allclose(scan.affine[:3, 3], (-10, -20, -2.5)) and np.allclose(np.diag(scan.affine), (0.7, 0.7, 2.5, 1))
    assert [part.pixels.shape for part in first.slices()] == [(1, 12, 10, 1)] * 4
    assert len(second.members) == 1 and first.patient == "P-1"


def test_two_spacings_in_a_series_are_refused(tmp_path):
    slices(tmp_path / "gaps", [0.0, 2.5, 5.0, 10.0])
    slices(tmp_path / "pixels", [0.0, 2.5], series="8.8")
    slices(tmp_path / "pixels2", [5.0], spacing=(0.9, 0.9), series="8.8")
    slices(tmp_path / "twice", [1.0], series="7.7")
    slices(tmp_path / "twice2", [1.0], series="7.7")
    said = []
    for one in series_in(dicom_below(tmp_path)):
        with pytest.raises(Unreadable) as problem:
            one.scan()
        said.append(str(problem.value))
    assert "gaps between slices from 2.5 to 5 mm" in said[0] and "two spacings" in said[1] and "same place" in said[2]


def test_headers_of_arrays_are_parsed_one_at_a_time(monkeypatch):
    # Python before 3.11.8 may raise SystemError when two threads parse literals at once
    data, load, inside, most = as_bytes(np.zeros((40, 40), np.uint8)), np.load, [], []

    def slow(*words, **knobs):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        found = load(*words, **knobs)
        inside.pop()
        return found

    monkeypatch.setattr(np, "load", slow)
    with ThreadPoolExecutor(4) as pool:
        scans = list(pool.map(lambda _: scan_of(data), range(8)))
    assert max(most) == 1
    assert all(scan.pixels.shape == (1, 40, 40, 1) for scan in scans)
