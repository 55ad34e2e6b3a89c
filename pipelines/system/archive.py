"""Archives of backbones: how a preset or weights travel to a machine without a network, and arrive whole or not at all."""

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from horngate.models.backbones.pictures import architectures, weights_folder
from horngate.models.trust import Untrusted, check_preset, check_weights
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import whole
from horngate.pipelines.system.pretrained import kept_at

FORMAT = 1
MANIFEST = "horngate-preset.json"
BLOCK = 1 << 20  # bytes


def pack(files: dict[str, Path], facts: dict[str, Any], target: Path) -> Path:
    """Write one archive (zip) with files, their SHA-256 checksums and a note on where they come from.

    Args:
        files: names in the archive, with `/`, and where each lies.
        facts: `kind` (`preset` or `weights`), `name`, `source`, `licence`.

    Raises:
        UserError: a file can't be read, or the archive can't be written.
    """
    if target.suffix.lower() != ".zip":
        raise UserError(f"an archive should end in .zip. Received: {target}")
    sums = {name: _checksum(path) for name, path in files.items()}
    manifest = json.dumps({"format": FORMAT} | facts | {"files": sums}, indent=1, ensure_ascii=False)
    with whole(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # weights don't shrink
        archive.writestr(MANIFEST, manifest)
        for name, path in files.items():
            archive.write(path, name)
    return target


def preset_files(place: Path) -> dict[str, Path]:
    """Return the files of a preset folder by their name in an archive.

    Raises:
        UserError: no preset folder, or a link in it.
    """
    if not (place / "config.json").is_file():
        raise UserError(f"{place} is no preset folder: it has no config.json")
    paths = [path for path in sorted(place.rglob("*")) if not path.name.startswith(".")]
    for path in paths:
        if path.is_symlink():
            raise UserError(f"{path} is a link; put the file itself into {place}")
    return {path.relative_to(place).as_posix(): path for path in paths if path.is_file() and path.name != MANIFEST}


def unpack(archive: Path, overwrite: bool = False) -> tuple[dict[str, Any], list[Path]]:
    """Put an archive's preset, or its weights files, where training finds them; return its manifest and the paths.

    Raises:
        UserError: no such archive, damaged, a member that leads out of its folder, or something else stands there.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            manifest = _manifest(opened, archive)
            if manifest["kind"] == "weights":
                return manifest, _weights_placed(opened, manifest, archive, overwrite)
            return manifest, [_preset_placed(opened, manifest, archive, overwrite)]
    except FileNotFoundError:
        raise UserError(f"{archive} doesn't exist") from None
    except OSError as problem:
        raise UserError(f"can't unpack {archive}: {problem.strerror or problem}; nothing was changed") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as problem:
        raise UserError(f"{archive} is damaged, or no archive of `presets pack` ({problem})") from None


def _manifest(opened: zipfile.ZipFile, archive: Path) -> dict[str, Any]:
    """Return what the archive says of itself, after a look at every member's name."""
    try:
        manifest = json.loads(opened.read(MANIFEST))
        files, kind, name = manifest["files"], manifest["kind"], manifest["name"]
        shaped = kind in ("preset", "weights") and isinstance(name, str) and all(map(str.isalnum, files.values()))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise UserError(f"{archive} is no archive of `presets pack`: its {MANIFEST} is missing or damaged") from None
    if not shaped or manifest.get("format", FORMAT + 1) > FORMAT:
        raise UserError(f"{archive} was packed by a newer horngate, or by something else; update this one to open it")
    members = [info for info in opened.infolist() if info.filename != MANIFEST]
    for info in members:
        if _leads_out(info):
            raise UserError(f"{archive} is not unpacked: its member {info.filename} is a link or leaves the folder")
    if sorted(info.filename for info in members) != sorted(files):
        raise UserError(f"{archive} is not unpacked: it doesn't hold exactly the files that its {MANIFEST} names")
    return manifest


def _leads_out(info: zipfile.ZipInfo) -> bool:
    path, mode = PurePosixPath(info.filename), info.external_attr >> 16
    strange = "\\" in info.filename or ":" in info.filename or "\0" in info.orig_filename
    link = stat.S_IFMT(mode) not in (0, stat.S_IFREG)
    return link or strange or info.is_dir() or path.is_absolute() or ".." in path.parts


def _preset_placed(opened: zipfile.ZipFile, manifest: dict, archive: Path, overwrite: bool) -> Path:
    place = kept_at(manifest["name"])
    if manifest["name"] in (*architectures(), "small"):
        raise UserError(f"{archive} is not unpacked: {manifest['name']} is an architecture's name; pack it with --name")
    if place.exists() and not overwrite and _checksums(place) != manifest["files"]:
        raise UserError(f"{place} holds another preset; give --overwrite to replace it")
    with _room(place) as temporary:
        for name, checksum in manifest["files"].items():
            _extracted(opened, name, temporary / name, checksum, archive)
        try:
            check_preset(temporary)
        except Untrusted as problem:
            raise UserError(
                f"{archive} is not unpacked: {str(problem).replace(str(temporary), archive.name)}"
            ) from None
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
        _swapped(temporary, place)
    return place


def _swapped(temporary: Path, place: Path) -> None:
    """Put a finished folder where another one may stand; a kill between leaves one of them whole, under some name."""
    old = temporary.with_name(f"{temporary.name}.old")
    if place.exists():
        place.rename(old)
    temporary.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _weights_placed(opened: zipfile.ZipFile, manifest: dict, archive: Path, overwrite: bool) -> list[Path]:
    place = weights_folder()
    paths = [place / PurePosixPath(name).name for name in manifest["files"]]
    sums = dict(zip(paths, manifest["files"].values(), strict=True))
    strangers = [path for path in paths if path.exists() and _checksum(path) != sums[path]]
    if strangers and not overwrite:
        raise UserError(f"{strangers[0]} holds other weights; give --overwrite to replace them")
    with _room(place / "weights") as temporary:
        for name, path in zip(manifest["files"], paths, strict=True):
            _extracted(opened, name, temporary / path.name, sums[path], archive)
            try:
                check_weights(temporary / path.name)
            except Untrusted as problem:
                said = str(problem).replace(str(temporary), archive.name)
                raise UserError(f"{archive} is not unpacked: {said}") from None
        for path in paths:
            (temporary / path.name).replace(path)
    return paths


@contextmanager
def _room(place: Path) -> Iterator[Path]:
    """Yield an empty folder beside `place`, which is gone afterwards unless it was renamed."""
    temporary = place.with_name(f".{os.getpid()}.part-{kept_at(place.name).name}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extracted(opened: zipfile.ZipFile, name: str, path: Path, checksum: str, archive: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sha = hashlib.sha256()
    try:
        with opened.open(name) as source, path.open("xb") as out:
            while block := source.read(BLOCK):
                sha.update(block)
                out.write(block)
    except (zipfile.BadZipFile, zlib.error):
        pass  # its own checksum is wrong; ours will say so
    if sha.hexdigest() != checksum:
        raise UserError(f"{archive} is damaged: {name} doesn't match its checksum; nothing was unpacked")


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise UserError(f"{path} can't be read: {problem.strerror}") from None


def _checksums(place: Path) -> dict[str, str]:
    return {name: _checksum(path) for name, path in preset_files(place).items()} if place.is_dir() else {}
