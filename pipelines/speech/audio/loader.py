"""The speech door: folders laid out as LibriSpeech, Common Voice and Speech Commands become rows."""

import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import BLOCK, Listing, block
from horngate.pipelines.data.sources.folders import walk
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio.decoding import SUFFIXES
from horngate.pipelines.system.files import printable

PARTS = {"train": "train", "dev": "validation", "test": "test"}  # how LibriSpeech and Common Voice begin their names
KEPT = ("age", "gender", "accents", "locale", "segment")  # columns of Common Voice that tell speakers apart
LISTS = {"testing_list.txt": "test", "validation_list.txt": "validation"}
Row = tuple[str, str, str | None, str | None, str | None, dict[str, str]]  # id, path, target, split, group, kept


def opens(path: Path, labelled: bool) -> bool:
    """Whether a labelled folder is read here: one with transcripts, with clips and their table, or with lists of a split."""
    return labelled and path.is_dir() and _layout(path) is not None


def blocks(path: Path, card: Data, labelled: bool, listing: Listing) -> Iterator[pa.Table]:
    """Yield the blocks of a folder that `opens`; the target is the transcript, the group the speaker.

    Raises:
        UserError: a table or a list of the layout can't be read.
    """
    try:
        rows = _layout(path)(path, listing)
        while batch := list(islice(rows, BLOCK)):
            yield _block(path, batch)
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path} can't be read: {problem}") from None


def checked(block: pa.Table) -> pa.Table:
    """Return a block as it is."""
    return block


def _layout(path: Path):
    if (path / "clips").is_dir() and any(path.glob("*.tsv")):
        return _common_voice
    if all((path / name).is_file() for name in LISTS):
        return _speech_commands
    return _libri_speech if next(_transcripts(path), None) is not None else None


def _transcripts(path: Path) -> Iterator[Path]:
    """Yield the transcripts of LibriSpeech: of the folder of its parts, of one part, or of one speaker."""
    for depth in ("*", "*/*", "*/*/*"):
        yield from sorted(path.glob(f"{depth}/*.trans.txt"))


def _libri_speech(root: Path, listing: Listing) -> Iterator[Row]:
    """Yield rows of `PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`, whose lines are an id and what is said."""
    for file in _transcripts(root):
        inside = file.parent.relative_to(root).parts
        part = inside[0] if len(inside) > 2 else root.name
        split = next((split for name, split in PARTS.items() if part.startswith(name)), None)
        sounds = {sound.stem: sound.name for sound in sorted(file.parent.iterdir()) if sound.suffix.lower() in SUFFIXES}
        for line in file.read_text("utf-8").splitlines():
            name, _, text = line.strip().partition(" ")
            if name:
                path = (file.parent / sounds.get(name, f"{name}.flac")).relative_to(root)
                yield name, str(path), text, split, name.split("-")[0], {}


def _common_voice(root: Path, listing: Listing) -> Iterator[Row]:
    """Yield rows of `train.tsv`, `dev.tsv` and `test.tsv`, or of `validated.tsv` where they are missing."""
    found = [(root / f"{name}.tsv", split) for name, split in PARTS.items() if (root / f"{name}.tsv").is_file()]
    others = [path for path in (root / "validated.tsv", *sorted(root.glob("*.tsv"))) if path.is_file()]
    chosen = found or [(path, None) for path in others[:1]]
    for file, split in chosen:
        with file.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE):
                if "path" not in row or "sentence" not in row:
                    raise UserError(f"{file} should have the columns path and sentence. Received: {', '.join(row)}")
                kept = {name: row.get(name) or None for name in KEPT}
                yield row["path"], f"clips/{row['path']}", row["sentence"], split, row.get("client_id") or None, kept


def _speech_commands(root: Path, listing: Listing) -> Iterator[Row]:
    """Yield rows of class folders whose split is given by two lists; a name begins with its speaker."""
    given = {
        line.strip(): split for name, split in LISTS.items() for line in (root / name).read_text("utf-8").splitlines()
    }
    for path in walk(root, SUFFIXES, listing):
        folder, _, name = path.replace(os.sep, "/").rpartition("/")
        if not folder or folder.startswith("_"):  # such as _background_noise_: minutes of it
            listing.skipped["background noise"] += 1
            continue
        speaker = name.split("_nohash_")[0] if "_nohash_" in name else None
        yield path, path, printable(folder.split("/")[0]), given.get(f"{folder}/{name}", "train"), speaker, {}


def _block(root: Path, rows: list[Row]) -> pa.Table:
    columns: dict[str, list] = {name: [] for name in ("id", "input", "target", "split", "group", "error")}
    kept: dict[str, list] = {name: [] for name in rows[0][5]}
    for name, path, target, split, group, further in rows:
        columns["id"].append(printable(name.replace(os.sep, "/")))
        columns["input"].append(os.fsencode(root / path))
        columns["target"].append(target or None)
        columns["split"].append(split)
        columns["group"].append(group)
        columns["error"].append(None if target else "no target")
        for key, value in further.items():
            kept[key].append(value)
    return block(columns, kept)
