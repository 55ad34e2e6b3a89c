"""Segmenting medical images: doors, masks, classes, views, tiles, volumes, and what can go wrong with them."""

import gzip
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pyarrow as pa
import pydicom
import pytest
from PIL import Image

from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.medical import Segment
from horngate.pipelines.medical.scans.volumes import volume_of
from horngate.pipelines.medical.segment import loader
from horngate.pipelines.medical.segment.baselines import bright, local_features
from horngate.pipelines.medical.segment.class_maps import UNLABELLED, Classes, fitting, read_mask
from horngate.pipelines.medical.segment.patches import PatchRows
from horngate.pipelines.medical.segment.tiles import Averaged, Tiler, poses
from horngate.pipelines.medical.segment.views import View
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import task_of


def write_pair(
    root: Path, name: str, size=(48, 40), seed: int = 0, mask: np.ndarray | None = None, folders=("images", "masks")
):
    """Write a picture with a bright square, and its mask."""
    draw = np.random.default_rng(seed)
    truth = np.zeros(size[::-1], np.uint8)
    truth[8:20, 10:26] = 255
    pixels = draw.integers(0, 90, truth.shape) + (truth > 0) * 120
    for folder, values in zip(folders, (pixels, truth if mask is None else mask), strict=True):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(root / folder / f"{name}.png")


def rows_of(path: Path, **knobs) -> pa.Table:
    card = Segment(data=str(path), **knobs)
    return pa.concat_tables(list(loader.blocks(path, card, True, Listing())))


def findings_of(path: Path, **knobs) -> dict[str, str]:
    seen = task_of(Segment(data=str(path), max_quarantine=1.0, **knobs)).rows.survey()
    return {finding.code: finding.message for finding in seen.findings}


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray, kind=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (kind or nibabel.Nifti1Image)(values, affine).to_filename(path)
    return path


def lying(code: str, steps=(0.7, 1.1, 2.5)) -> np.ndarray:
    """Return an affine whose axes run as the letters say."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (place, way) in enumerate(nibabel.orientations.axcodes2ornt(tuple(code))):
        affine[int(place), axis] = way * steps[axis]
    affine[:3, 3] = (3.0, -40.0, 12.5)
    return affine


def write_slice(
    path: Path, pixels: np.ndarray, place: float, series: str = "1.2.3", spacing: float = 0.5, patient: str = "P7"
):
    """Write one DICOM file of a CT."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.SeriesInstanceUID, found.PatientID, found.Modality = series, patient, "CT"
    found.Rows, found.Columns = pixels.shape
    found.SamplesPerPixel, found.BitsAllocated, found.BitsStored, found.HighBit = 1, 16, 16, 15
    found.PixelRepresentation, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.PixelSpacing, found.ImagePositionPatient = [spacing, spacing], [0, 0, place]
    found.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    found.RescaleSlope, found.RescaleIntercept = 1, -1024
    found.PixelData = pixels.astype(np.int16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path)


# Doors.


def test_masks_lie_beside_their_pictures_in_a_folder_of_equal_stems(tmp_path):
    for name in ("a", "b"):
        write_pair(tmp_path, name)
    table = rows_of(tmp_path)
    assert table["id"].to_pylist() == ["images/a.png", "images/b.png"]
    assert [Path(mask).relative_to(tmp_path).as_posix() for mask in table["mask"].to_pylist()] == [
        "masks/a.png",
        "masks/b.png",
    ]


def test_each_split_may_have_its_own_folders(tmp_path):
    for split in ("train", "val", "test"):
        write_pair(tmp_path / split, "a", folders=("images", "labels"))
    table = rows_of(tmp_path)
    assert table["split"].to_pylist() == ["test", "train", "validation"]
    for name, mask in zip(table["id"].to_pylist(), table["mask"].to_pylist(), strict=True):
        assert Path(mask).parent.parent.name == name.split("/")[0]


def test_masks_beside_pictures_are_told_by_their_ending(tmp_path):
    write_pair(tmp_path, "a", folders=(".", "."), mask=np.zeros((40, 48)))
    (tmp_path / "a.png").rename(tmp_path / "a_seg.png")
    write_pair(tmp_path, "a", folders=(".", "elsewhere"))
    table = rows_of(tmp_path, mask_suffix="_seg")
    masks = dict(zip(table["id"].to_pylist(), table["mask"].to_pylist(), strict=True))
    assert Path(masks["a.png"]).name == "a_seg.png"


def test_a_table_names_masks_in_a_column(tmp_path, cli):
    write_pair(tmp_path, "a")
    (tmp_path / "rows.csv").write_text("file,outline,case\nimages/a.png,masks/a.png,7\n")
    card = Segment(data=str(tmp_path / "rows.csv"), mask_column="outline", group_column="case")
    seen = task_of(card).rows.survey()
    assert seen.usable == 1 and seen.table["group"][0].as_py().startswith("p")
    code, _, err = cli("medical", "segment", "check", tmp_path / "rows.csv")
    assert code == 1 and "--mask-column" in err


def test_check_names_what_is_wrong_with_masks(tmp_path):
    write_pair(tmp_path, "good")
    write_pair(tmp_path, "empty", mask=np.zeros((40, 48)))
    write_pair(tmp_path, "strange", mask=np.tile([0, 255, 7, 7], (40, 12)))
    write_pair(tmp_path, "large", mask=np.zeros((41, 48)))
    write_pair(tmp_path, "alone")
    (tmp_path / "masks" / "alone.png").unlink()
    write_pair(tmp_path, "orphan")
    (tmp_path / "images" / "orphan.png").unlink()
    found = findings_of(tmp_path, classes=("0=background", "255=lesion"))
    assert "1 of 3 masks are empty" in found["empty_masks"]
    assert "1 masks hold values that are no class (7); these 960 pixels count nowhere" in found["mask_values"]
    assert "1 masks have no picture" in found["masks_without_picture"]
    assert "no mask (1)" in found["quarantined"] and "its mask is 48 × 41, the picture 48 × 40" in found["quarantined"]
    assert "unknown_patients" in found


def test_masks_with_very_many_values_are_no_classes(tmp_path):
    write_pair(tmp_path, "smooth", mask=np.arange(40 * 48).reshape(40, 48) % 200)
    assert "--classes" in findings_of(tmp_path)["which_classes"]


def test_a_value_that_only_test_masks_have_stops_a_training(tmp_path):
    for split in ("train", "val", "test"):
        write_pair(tmp_path / split, "a", seed=len(split))
    write_pair(tmp_path / "test", "b", mask=np.tile([0, 255, 9, 9], (40, 12)))
    assert "classes without a training pixel: 9" in findings_of(tmp_path)["unlearnt_classes"]


# Classes.


def test_the_background_is_the_class_with_most_pixels_unless_another_is_named():
    counts = [{0: 10, 255: 90}]
    assert Classes.named(None, None, counts).values == (255, 0)
    named = Classes.named(("0=membrane", "255=cell"), "membrane", counts)
    assert (named.values, named.names) == ((0, 255), ("membrane", "cell"))
    numbers = named.numbers(np.array([[0, 255, 3]], np.uint8))
    assert numbers.tolist() == [[0, 1, UNLABELLED]]
    assert named.filed(numbers[:, :2]).tolist() == [[0, 255]]
    for wishes, background in ((("x=1",), None), (("0=a", "0=b"), None), (None, "liver")):
        with pytest.raises(UserError, match="--(classes|background)"):
            Classes.named(wishes, background, counts)


def test_a_coloured_or_broken_mask_is_a_reason(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)).save(tmp_path / "rgb.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "rgb.png").read_bytes()[:60])
    palette = Image.fromarray(np.eye(20, dtype=np.uint8), "P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "palette.png")
    for name, why in (("rgb.png", "colours"), ("broken.png", "read"), ("nowhere.png", "missing")):
        with pytest.raises(Unreadable, match=why):
            read_mask(str(tmp_path / name))
    assert read_mask(str(tmp_path / "palette.png")).values.max() == 1


# Views and tiles.


def test_a_view_moves_picture_and_mask_together():
    draw = np.random.default_rng(0)
    truth = np.kron(draw.integers(0, 2, (12, 12)), np.ones((8, 8))).astype(np.uint8)
    pixels = (truth * 200)[..., None]
    card = Segment(augment="elastic", flip="both", turn=True)
    for number in range(6):
        view = View.drawn(card, np.random.default_rng(number))
        seen, mask = view.cut(pixels, truth, (48, 48), 64)
        known = mask != UNLABELLED
        bright_ones = seen[..., 0] > seen[..., 0][known].mean()
        assert seen.shape == (64, 64, 1) and (bright_ones == mask)[known].mean() > 0.93
    plain, mask = View().cut(pixels, truth, (48, 48), 64)
    assert np.array_equal(plain, pixels[16:80, 16:80]) and np.array_equal(mask, truth[16:80, 16:80])


def test_half_of_the_views_keep_every_pixel():
    card = Segment(augment="elastic", flip="both", turn=True)
    views = [View.drawn(card, np.random.default_rng(seed)) for seed in range(200)]
    assert 70 < sum(view.plain for view in views) < 130
    assert all(view.turn and view.stretch != 1.0 and view.shifts is not None for view in views if not view.plain)


def test_blur_softens_the_picture_and_leaves_its_mask():
    draw = np.random.default_rng(0)
    pixels, truth = draw.integers(0, 255, (64, 64, 1)).astype(np.uint8), draw.integers(0, 2, (64, 64)).astype(np.uint8)
    sharp, mask = View().cut(pixels, truth, (32, 32), 32)
    soft, same = View(blur=1.0).cut(pixels, truth, (32, 32), 32)
    assert np.array_equal(mask, same) and np.diff(soft, axis=0).std() < 0.5 * np.diff(sharp.astype(float), axis=0).std()
    draws = [View.drawn(Segment(data="", augment="elastic"), np.random.default_rng(seed)).blur for seed in range(200)]
    assert 60 < sum(blur > 0 for blur in draws) < 140 and 0.8 < max(draws) <= 1.0


def test_beyond_the_border_a_mask_is_unlabelled():
    pixels, truth = np.full((20, 30, 1), 9, np.uint8), np.ones((20, 30), np.uint8)
    seen, mask = View().cut(pixels, truth, (10, 15), 32)
    assert seen.min() == 9 and (mask == 1).sum() == 20 * 30 and (mask == UNLABELLED).sum() == 32 * 32 - 600


@pytest.mark.parametrize("shape", [(20, 20), (32, 32), (33, 70), (100, 45), (5, 200)])
def test_tiles_put_together_answer_as_one_picture(shape):
    def forward(batch):  # looks 3 pixels far, as a small network does
        grey = batch[..., 0].astype(float)
        around = sum(np.roll(grey, (down, across), (1, 2)) for down in range(-3, 4) for across in range(-3, 4))
        return np.stack([np.full(grey.shape, 49 * 120.0), around], -1)

    pixels = np.random.default_rng(0).integers(0, 240, (*shape, 1)).astype(np.uint8)
    wide = np.pad(pixels, [(40, 40), (40, 40), (0, 0)], "symmetric")
    whole = forward(wide[None])[0].argmax(-1)[40:-40, 40:-40]
    calls = []
    tiler = Tiler(32, 4, 3, lambda batch: calls.append(len(batch)) or forward(batch))
    ((_, one), (_, two)) = tiler.answers(iter([("one", pixels), ("two", pixels)]))
    inner = (slice(3, -3), slice(3, -3)) if max(shape) <= 32 else (slice(None), slice(None))
    assert np.array_equal(one[inner], whole[inner]) and np.array_equal(one, two)
    assert set(calls) == {3}


@pytest.mark.parametrize(
    ("flip", "turn", "count"),
    [("none", False, 1), ("horizontal", False, 2), ("vertical", False, 2), ("both", False, 4), ("none", True, 4)]
    + [(flip, True, 8) for flip in ("horizontal", "vertical", "both")],
)
def test_answers_are_averaged_over_the_poses_that_were_learnt_with(flip, turn, count):
    def forward(batch):  # looks to the left alone, and answers in two classes
        grey = batch[..., 0].astype(np.float32)
        return np.stack([grey, np.roll(grey, 1, 2)], -1)

    averaged = Averaged(forward, poses(flip, turn))
    tiles = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 1)).astype(np.uint8)
    scores = averaged(tiles)
    assert len(set(averaged.poses)) == len(averaged.poses) == count and averaged.poses[0] == (0, False, False)
    assert np.allclose(scores[..., 0], tiles[..., 0])  # each pose is put back in its place
    rolled = {0: np.roll(tiles, 1, 2), 1: np.roll(tiles, -1, 2), 2: np.roll(tiles, 1, 1), 3: np.roll(tiles, -1, 1)}
    sides = [0, 1] if not turn and flip in ("horizontal", "both") else [0, 1, 2, 3] if turn else [0]
    assert np.allclose(scores[..., 1], np.mean([rolled[side][..., 0].astype(float) for side in sides], 0))


def test_a_run_answers_by_the_mean_over_poses_on_request(tiny_runs, tmp_path):
    from horngate.pipelines import evaluate

    run = tiny_runs("medical", "segment")
    plain, averaged = evaluate(run, output=tmp_path / "a"), evaluate(run, output=tmp_path / "b", tta=True)
    assert (plain.protocol["poses"], averaged.protocol["poses"]) == (1, 4)
    assert plain.metrics["pixel_accuracy"].value != averaged.metrics["pixel_accuracy"].value


def test_averaging_over_no_poses_is_refused_before_anything_is_read():
    with pytest.raises(UserError, match="--flip"):
        task_of(Segment(data="nowhere", tta=True)).rows.survey()


# Volumes.


@pytest.mark.parametrize("code", ["RAS", "LPS", "LAS", "ARI", "SPL", "PSR"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_planes_lie_the_same_way_however_a_volume_is_stored(code, suffix, tmp_path):
    draw = np.random.default_rng(1)
    straight = draw.integers(-900, 900, (14, 11, 9)).astype(np.int16)  # to the right, to the front, to the head
    wanted = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt(tuple("RAS")), nibabel.orientations.axcodes2ornt(tuple(code))
    )
    steps = np.array([0.7, 1.1, 2.5])
    affine = np.diag([*steps, 1.0]) @ nibabel.orientations.inv_ornt_aff(wanted, straight.shape)
    path = write_volume(tmp_path / f"v{suffix}", nibabel.orientations.apply_orientation(straight, wanted), affine)
    volume = volume_of(os.fsencode(path), None)
    assert volume.shape == (9, 11, 14) and np.allclose(volume.spacing, (2.5, 1.1, 0.7))
    for place, scan in volume.planes():
        assert np.array_equal(scan.pixels[0, :, :, 0], straight[::-1, ::-1, place].T)


def test_a_mask_that_lies_elsewhere_is_a_reason(tmp_path):
    values = np.zeros((10, 12, 8), np.int16)
    volume = volume_of(os.fsencode(write_volume(tmp_path / "v.nii", values, lying("RAS"))), None)
    right = write_volume(tmp_path / "right.nii.gz", np.ones_like(values), lying("RAS"))
    assert fitting(read_mask(str(right)), volume).shape == (8, 12, 10)
    thick = write_volume(tmp_path / "thick.nii", values, lying("RAS", (0.7, 1.1, 5.0)))
    moved = lying("RAS")
    moved[0, 3] += 9
    cases_ = {"spacing": thick, "elsewhere": write_volume(tmp_path / "moved.nii", values, moved)}
    cases_["10 × 12 × 7"] = write_volume(tmp_path / "short.nii", values[..., :7], lying("RAS"))
    cases_["whole numbers"] = write_volume(tmp_path / "soft.nii", np.full(values.shape, 0.5, np.float32), lying("RAS"))
    np.save(tmp_path / "bare.npy", np.zeros((8, 12, 10), np.uint8))
    cases_["nobody knows"] = tmp_path / "bare.npy"
    for why, path in cases_.items():
        with pytest.raises(Unreadable, match=why):
            fitting(read_mask(str(path)), volume)


def test_a_truncated_or_wrong_volume_is_a_reason(tmp_path):
    path = write_volume(tmp_path / "v.nii", np.ones((20, 20, 20), np.int16), lying("RAS"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-900])
    (tmp_path / "z.nii.gz").write_bytes(gzip.compress(np.random.default_rng(0).bytes(9000) and whole)[:-40])
    for name in ("v.nii", "z.nii.gz"):
        with pytest.raises(Unreadable, match="truncated or damaged"):
            list(volume_of(os.fsencode(tmp_path / name), None).planes())
    for shape, why in (((4, 4, 4, 3), "4 dimensions"), ((9,), "1 dimensions")):
        with pytest.raises(Unreadable, match=why):
            volume_of(os.fsencode(write_volume(tmp_path / "d.nii", np.ones(shape, np.int16), lying("RAS"))), None)


def test_dicom_files_of_a_series_are_one_row_in_order_of_their_place(tmp_path):
    for number, place in enumerate((4.0, 0.0, 2.0)):
        write_slice(tmp_path / "images" / "scan" / f"{number}", np.full((16, 20), 1024 + int(place)), place)
    mask = np.zeros((20, 16, 3), np.uint8)
    affine = np.diag([-0.5, -0.5, 2.0, 1.0])
    write_volume(tmp_path / "masks" / "scan.nii.gz", mask, affine)
    table = rows_of(tmp_path)
    assert table["id"].to_pylist() == ["images/scan"] and table["group"].to_pylist() == ["P7"]
    row = table.to_pylist()[0]
    volume = volume_of(row["input"], row["value"])
    assert volume.shape == (3, 16, 20) and volume.spacing == (2.0, 0.5, 0.5)
    assert [float(scan.pixels.max()) for _, scan in volume.planes()] == [0.0, 2.0, 4.0]
    assert fitting(read_mask(row["mask"]), volume).shape == (3, 16, 20)


def test_a_series_with_two_spacings_and_dicom_without_pixels_are_reasons(tmp_path, cli, tiny_runs):
    for number in range(3):
        write_slice(
            tmp_path / "torn" / f"{number}.dcm", np.zeros((16, 16)), 2.0 * number, spacing=0.5 + 0.2 * (number == 2)
        )
    write_slice(tmp_path / "cut.dcm", np.zeros((64, 64)), 0.0, "9.9")
    whole = (tmp_path / "cut.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-3000])
    bare = pydicom.dcmread(tmp_path / "torn" / "0.dcm")
    del bare.PixelData
    (tmp_path / "bare").mkdir()
    bare.save_as(tmp_path / "bare" / "none.dcm")
    code, out, _ = cli("predict", tiny_runs("medical", "segment").folder, tmp_path, "-o", "-")
    reasons = sorted(json.loads(line)["error"].split(" (")[0] for line in out.splitlines())
    assert code == 0
    assert reasons == [
        "no pixels in this DICOM file",
        "truncated: fewer bytes of pixels than the header says",
        "two spacings in one series",
    ]


# From data to masks.


def test_masks_are_written_as_files_with_the_values_that_were_learnt(tiny_runs, cli, tmp_path):
    run = tiny_runs("medical", "segment")
    write_pair(tmp_path, "jane", size=(70, 50))
    code, out, _ = cli("predict", run.folder, tmp_path / "images", "--masks-to", tmp_path / "out", "-o", "-")
    (row,) = [json.loads(line) for line in out.splitlines()]
    mask = np.asarray(Image.open(row["mask"]))
    assert code == 0 and mask.shape == (50, 70) and set(np.unique(mask)) <= {0, 255}
    assert row["area_unit"] == "pixels" and row["area"] == [int((mask == value).sum()) for value in (0, 255)]
    assert "jane" not in row["mask"] and list((tmp_path / "out").iterdir()) == [Path(row["mask"])]
    _, out, err = cli("predict", run.folder, tmp_path / "images", "--wide", "-o", "-")
    assert json.loads(out)["area_255"] == row["area"][1] and json.loads(out)["mask"] is None and "--masks-to" in err


@pytest.mark.parametrize("code", ["RAS", "LPI", "SPL"])
def test_the_mask_of_a_volume_lies_on_its_affine(code, tiny_runs, cli, tmp_path):
    run = tiny_runs("medical", "segment")
    values = np.random.default_rng(0).integers(-500, 500, (12, 14, 10)).astype(np.int16)
    header = nibabel.Nifti1Image(values, lying(code)).header
    header["descrip"] = b"Jane Doe"
    image = nibabel.Nifti1Image(values, lying(code), header)
    image.set_sform(lying(code), 2)
    image.to_filename(tmp_path / "scan.nii.gz")
    _, out, _ = cli("predict", run.folder, tmp_path / "scan.nii.gz", "--masks-to", tmp_path / "out", "-o", "-")
    row = json.loads(out)
    mask = nibabel.load(row["mask"])
    assert np.array_equal(mask.affine, nibabel.load(tmp_path / "scan.nii.gz").affine)
    assert mask.shape == values.shape and int(mask.header["sform_code"]) == (2 if code != "SPL" else 1)
    found = np.asarray(mask.dataobj)
    voxel = 0.7 * 1.1 * 2.5
    assert row["area_unit"] == "mm3" and np.allclose(
        row["area"], [voxel * (found == value).sum() for value in (0, 255)]
    )
    assert b"Jane" not in gzip.decompress(Path(row["mask"]).read_bytes())


def test_the_mask_of_a_dicom_series_lies_where_the_series_does(tiny_runs, cli, tmp_path):
    draw = np.random.default_rng(0)
    for number in range(3):
        write_slice(tmp_path / "scan" / f"{number}.dcm", draw.integers(0, 2000, (16, 20)), 2.0 * number)
    _, out, _ = cli(
        "predict", tiny_runs("medical", "segment").folder, tmp_path, "--masks-to", tmp_path / "out", "-o", "-"
    )
    mask = nibabel.load(json.loads(out)["mask"])
    assert mask.shape == (20, 16, 3) and np.allclose(mask.affine, np.diag([-0.5, -0.5, 2.0, 1.0]))


def test_a_volume_is_measured_in_millimetres_against_its_mask(tiny_runs, cli, tmp_path):
    run = tiny_runs("medical", "segment")
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        truth = np.zeros((33, 40, 4), np.uint8)
        truth[8:20, 9:30, 1:3] = 255
        write_volume(
            tmp_path / "images" / f"{name}.nii",
            draw.integers(0, 80, truth.shape).astype(np.int16) + truth,
            lying("RAS"),
        )
        write_volume(tmp_path / "masks" / f"{name}.nii.gz", truth, lying("RAS"))
    code, out, err = cli("evaluate", run.folder, "--data", tmp_path, "--tolerance", "2", "-o", tmp_path / "e", "--json")
    report = json.loads(out)
    assert code == 0, err
    assert report["metrics"]["hd95"]["unit"] == "mm" and report["protocol"]["tolerance"] == 2.0
    diagonal = float(np.linalg.norm(np.array([33, 40, 4]) * [0.7, 1.1, 2.5]))
    assert report["metrics"]["hd95"]["baseline"] == pytest.approx(diagonal)
    assert (tmp_path / "e" / "report.html").read_text().count("data:image/jpeg") >= 4


def test_the_memory_of_a_prediction_does_not_grow_with_the_planes(tiny_runs, tmp_path):
    class Bright:
        def predict_on_batch(self, batch):
            return np.concatenate([255.0 - batch, batch], -1).astype(np.float32)

    schema = {"window": "file", "channels": 1, "dtype": "uint8", "size": 32, "margin": 4}
    fitted = Fitted(schema, decisions=Classes((0, 1), ("rest", "lesion")), model=Bright())
    card = tiny_runs("medical", "segment").card
    task, peaks = replace(task_of(card), fitted=fitted, options={"masks_to": str(tmp_path / "out")}), []
    for count in (24, 96):
        path = write_volume(tmp_path / f"{count}.nii", np.zeros((96, 96, count), np.int16), lying("LPS"))
        block = pa.table({"id": ["v"], "input": [os.fsencode(path)], "value": pa.nulls(1, pa.binary())})
        block = block.append_column("error", pa.nulls(1, pa.string()))
        tracemalloc.start()
        (said,) = task.predictor.predict([block], labelled=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (said.places, said.errors) == ([0], [None])
    assert peaks[1] < peaks[0] + 96 * 96 * 8


def test_a_run_keeps_nothing_of_names_and_paths(tiny_runs, tmp_path):
    from horngate.pipelines import train

    for number in range(6):
        write_pair(tmp_path / "data", f"DOE_JANE_{number}", seed=number)
    run = train(
        Segment(data=str(tmp_path / "data"), output=str(tmp_path / "runs"), image_size=32, width=2, epochs=1, patches=8)
    )
    for path in run.folder.rglob("*"):
        if path.is_file():
            assert b"DOE_JANE" not in path.read_bytes(), path
    assert run.summary["protocol"]["tiles"].startswith("32 pixels")


# Learning.


def test_patches_depend_on_seed_epoch_and_number_alone(tiny_runs, tmp_path):
    for number in range(3):
        write_pair(tmp_path, f"{number}", seed=number)
    task = task_of(Segment(data=str(tmp_path), augment="elastic", flip="both", turn=True, image_size=32))
    seen = task.rows.survey()
    task = task.with_fitted(task.reader.fit_schema(seen.facts))
    first, second = (PatchRows(task, seen.table, 12) for _ in range(2))
    for epoch in (None, 0, 3):
        ours, theirs = first.batch(np.arange(12), epoch), second.batch(np.array([11, 3]), epoch)
        assert ours[0].shape == (12, 32, 32, 1) and ours[0].dtype == np.uint8
        assert np.array_equal(ours[0][[11, 3]], theirs[0]) and np.array_equal(ours[1][[11, 3]], theirs[1])
    assert not np.array_equal(first.batch(np.arange(4), 0)[0], first.batch(np.arange(4), 1)[0])
    assert np.mean([(first.batch(np.arange(12), epoch)[1] == 1).any((1, 2)).mean() for epoch in range(3)]) > 0.5


def test_scratch_and_pretrained_weights_are_not_mixed_up(tmp_path, cli):
    for split in ("train", "val", "test"):
        write_pair(tmp_path / "data" / split, "a", seed=len(split))
    for words, fix in (
        (("--method", "probe"), "--backbone"),
        (("--image-size", "40"), "multiple of 32"),
        (("--backbone", "mobilenet", "--weights", tmp_path / "nowhere.h5"), "--weights"),
        (("--window", "wide"), "--window"),
    ):
        code, _, err = cli("medical", "segment", "train", "--data", tmp_path / "data", "-o", tmp_path / "runs", *words)
        assert code == 1 and fix in err


# Rivals.


def test_otsu_parts_dark_from_bright_and_features_are_local():
    pixels = np.full((40, 40, 1), 50.0)
    pixels[10:20, 10:30] = 180
    assert np.array_equal(bright(pixels), pixels[..., 0] > 100)
    features = local_features(pixels)
    assert features.shape == (40, 40, 16) and np.isfinite(features).all()
    moved = local_features(np.roll(pixels, 5, 0))
    assert np.allclose(moved[20:30, 20, 4:8], features[15:25, 20, 4:8], atol=1e-3)
