"""Rows about people: nothing that names one is ever written, but into the private file beside the data."""

import csv
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import run_here
from test_scans import made, written

from horngate.pipelines.data.privacy import NAMES, Pseudonyms, unquoted
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import labelled, unlabelled
from horngate.pipelines.medical import Diagnose
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table

WARD = ("Zwiebelfisch^Anna", "Kohlrabi^Bertram", "Mispel^Clara", "Topinambur^Doris")  # names that stand nowhere else
SECRETS = (*(name.split("^")[0] for name in WARD), "Anna", "Bertram", "MRN77", "sternwarte", "geheim", "19480229")


def ward(folder: Path, patients: int = 24, each: int = 2) -> Path:
    """Write DICOM files named after pretend patients, a damaged one among them, and a table of them."""
    folder.mkdir()
    rows = []
    for patient in range(patients):
        draw, ill = np.random.default_rng(patient), patient % 2
        for number in range(each):
            pixels = draw.integers(0, 300, (32, 32)).astype(np.uint16)
            pixels[10:20, 10:20] += np.uint16(500 * ill)
            found = made(pixels, PatientID=f"MRN77{patient}", PatientName=WARD[patient % 4], Modality="CR")
            found.PatientBirthDate, found.InstitutionName = "19480229", "Klinik sternwarte"
            name = f"Zwiebelfisch_{patient}_{number}.dcm"
            data = written(found)
            (folder / name).write_bytes(data[: len(data) // 2] if patient == 3 and number == 0 else data)
            rows.append([name, ("healthy", "ill")[ill], f"geheim{patient}", ("f", "m")[patient % 2]])
    rows.append(["../Zwiebelfisch_elsewhere (Anna).dcm", "ill", "geheim99", "f"])
    with (folder / "table.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["path", "label", "insurance", "sex"], *rows])
    return folder


def contents_of(path: Path) -> list[bytes]:
    """Return a file's bytes, and those of what it packs."""
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as packed:
        return [path.read_bytes(), *(packed.read(name) for name in packed.namelist())]


def secrets_in(data: bytes, allowed: str) -> list[str]:
    text = data.decode("utf-8", "ignore").replace(allowed, "")
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture(scope="module")
def treated(tmp_path_factory):
    """A ward, a run on it, and everything that was written: the folder of outputs, stdout and stderr."""
    from conftest import run_here

    root = tmp_path_factory.mktemp("treated")
    data, out = ward(root / "data"), root / "out"
    out.mkdir()
    os.environ["HORNGATE_CACHE"], before = str(root / "cache"), os.environ["HORNGATE_CACHE"]
    said = []
    try:
        words = ["--image-size", "16", "--epochs", "1", "--max-quarantine", "0.2", "-v", "--conformal", "0.5"]
        code, folder, err = run_here("medical", "diagnose", "train", "--data", data / "table.csv", *words, "-o", out)
        assert code == 0, err
        run = folder.strip()
        said += [folder, err]
        table = data / "table.csv"
        for command in (
            ["medical", "diagnose", "check", table, "--json"],
            ["evaluate", run, "--grad-cam", "3", "--json"],
            ["evaluate", run, "--data", table, "--name", "again", "--sensitivity", "0.5", "--prevalence", "0.1"],
            ["predict", run, table, "-o", out / "answers.csv", "--id-column", "path"],
            ["predict", run, data, data / "Zwiebelfisch_none.dcm", f"{data}/*_1_*.dcm", "-o", out / "answers.parquet"],
            ["predict", run, data / "Zwiebelfisch_0_1.dcm", "-o", "-"],
            ["export", run, "--format", "litert", "-o", out / "bundle"],
        ):
            code, shown, err = run_here(*command)
            assert code == 0, err
            said += [shown, err]
    finally:
        os.environ["HORNGATE_CACHE"] = before
    return root, Run(run), said


def test_no_written_byte_names_a_patient_or_a_file(treated):
    root, _, said = treated
    files = [path for place in ("out", "cache") for path in (root / place).rglob("*") if path.is_file()]
    assert len(files) > 20 and (root / "out/bundle/golden.npz").is_file()
    for path in files:
        for data in contents_of(path):
            assert not secrets_in(data, str(root)), path
        assert not secrets_in(str(path.relative_to(root)).encode(), ""), path
    for path in (root / "out").rglob("*.parquet"):  # its pages are compressed
        table = read_table(path)
        assert not secrets_in(str(table.to_pylist()).encode(), str(root)), path
    for text in said:
        assert not secrets_in(text.encode(), str(root)), text


def test_rows_that_cannot_be_used_are_told_by_their_reasons_alone(treated):
    _, run, _ = treated
    with (run / "quarantine.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    reasons = sorted(row["reason"] for row in rows)
    assert len(rows) == 2 and all(row["id"].startswith("r") and len(row["id"]) == 21 for row in rows)
    assert (
        reasons[0].startswith("its path leaves the table's folder; pass --allow-outside") and "truncated" in reasons[1]
    )


def test_the_map_is_private_and_says_what_each_pseudonym_stands_for(treated):
    root, run, _ = treated
    path = root / "data" / NAMES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        known = {row["pseudonym"]: row["stands_for"] for row in csv.DictReader(file)}
    answers = read_table(run / "evaluation/test/answers.parquet")
    assert {known[name] for name in answers["id"].to_pylist()} <= {path.name for path in (root / "data").glob("*.dcm")}
    assert all(known[name].startswith("MRN77") for name in answers["group"].to_pylist())


def test_the_key_is_kept_outside_the_run_and_readable_by_its_owner_alone(treated):
    _, run, _ = treated
    key = Path(os.environ["HORNGATE_HOME"], "keys/pseudonyms")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    text = key.read_text().encode()
    assert not any(text in path.read_bytes() for path in run.folder.rglob("*") if path.is_file())


def test_patients_of_dicom_files_stay_on_one_side(treated):
    _, run, _ = treated
    sides: dict[str, set[str]] = {}
    for row in run.splits.to_pylist():
        sides.setdefault(row["group"], set()).add(row["split"])
    assert len(sides) == 24 and None not in sides and all(len(names) == 1 for names in sides.values())
    report = read_json(run / "evaluation/test/report.json")
    assert "over patients" in report["protocol"]["interval"] and report["groups"] < report["rows"]


def test_further_columns_are_kept_only_when_named(treated):
    root, run, _ = treated
    assert not {"insurance", "sex"} & set(read_table(run / "evaluation/test/answers.parquet").column_names)
    card = Diagnose(data=str(root / "data/table.csv"), keep_column=("sex",))
    (block,) = labelled(card.data, card, (".dcm",), Listing())
    assert "sex" in block.column_names and "insurance" not in block.column_names


def test_golden_rows_of_an_export_are_made_up(treated):
    root, run, _ = treated
    with np.load(root / "out/bundle/golden.npz", allow_pickle=False) as stored:
        inputs = stored["inputs"]
    assert inputs.shape == (32, 16, 16, 1) and inputs.std((1, 2, 3)).min() > 0
    from horngate.pipelines.data.reading import content
    from horngate.pipelines.tasks.task import task_of

    reader = task_of(run.card).recalled(run.folder).reader
    (block,) = unlabelled([str(root / "data/Zwiebelfisch_0_1.dcm")], run.card, (".dcm",), Listing())
    real = reader.read(content(block["input"][0].as_py(), None))
    assert np.abs(inputs - real).mean((1, 2, 3)).min() > 5


def test_a_patient_on_two_sides_stops_a_training(tmp_path):
    data = ward(tmp_path / "data", patients=12)
    lines = (data / "table.csv").read_text().splitlines()[:-1]
    split = ["train", "test"]
    text = "\n".join([f"{lines[0]},part", *(f"{line},{split[row % 2]}" for row, line in enumerate(lines[1:]))])
    (data / "table.csv").write_text(text)
    words = ["--data", data / "table.csv", "--split-column", "part", "-o", tmp_path / "out"]
    code, _, err = run_here("medical", "diagnose", "train", *words)
    assert code == 1 and "11 patients stand on several sides of the given splits" in err
    assert not secrets_in(err.encode(), str(tmp_path)) and not list((tmp_path / "out").iterdir())


def test_without_a_known_patient_check_warns(cli):
    code, out, _ = cli("medical", "diagnose", "check", "sample:digits", "--json")
    assert code == 0 and '"unknown_patients"' in out


def test_where_the_data_cannot_be_written_the_map_goes_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Pseudonyms, "_keep", _refusing(tmp_path / "data", Pseudonyms._keep))
    data = ward(tmp_path / "data", patients=2)
    list(labelled(str(data / "table.csv"), Diagnose(), (".dcm",), Listing()))
    (path,) = (tmp_path / "home/pseudonyms").glob("*.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and "Zwiebelfisch_0_1" in path.read_text()


def _refusing(folder: Path, keep):
    def refused(self, path):
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        keep(self, path)

    return refused


def test_pseudonyms_repeat_with_the_key_and_say_nothing_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNGATE_HOME", str(tmp_path / "home"))
    data = ward(tmp_path / "data", patients=2)
    first, again = (
        pa.concat_tables(labelled(str(data / "table.csv"), Diagnose(), (".dcm",), Listing())) for _ in range(2)
    )
    assert first["id"].equals(again["id"]) and first["group"].equals(again["group"])
    assert first["group"][0] == first["group"][1] != first["group"][2]
    (tmp_path / "home/keys/pseudonyms").unlink()
    (other,) = labelled(str(data / "table.csv"), Diagnose(), (".dcm",), Listing())
    assert not set(other["id"].to_pylist()) & set(first["id"].to_pylist())


def test_a_damaged_key_is_one_line_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNGATE_HOME", str(tmp_path))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/pseudonyms").write_text("short")
    with pytest.raises(UserError, match="damaged; put it back"):
        list(labelled("sample:lesions", Diagnose(), (".png",), Listing()))


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("its path leaves (a (b) c.png); pass --x", "its path leaves; pass --x"),
        ('not "Anna" here', "not here"),
        ("begins with b'Doe'", "begins with"),
        ("it can't be read, that isn't so", "it can't be read, that isn't so"),
    ],
)
def test_reasons_lose_what_they_quote(reason, left):
    assert unquoted(reason) == left
