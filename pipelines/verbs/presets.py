"""presets: what pretrained backbones there are, and how they come to a machine without a network."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from horngate.models.backbones import catalogue
from horngate.models.backbones.pictures import architectures
from horngate.pipelines.spec.discovery import domains
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system import archive
from horngate.pipelines.system.archive import MANIFEST, preset_files
from horngate.pipelines.system.files import read_json
from horngate.pipelines.system.pretrained import folder, kept_at


def listed(wanted: Iterable[str]) -> list[dict[str, Any]]:
    """Return the backbones of some domains, then the presets kept here that no library knows, as plain values."""
    rows: dict[str, dict[str, Any]] = {}
    for domain in wanted:
        families = [name for card in domains()[domain].values() for name in getattr(card, "families", ())]
        for row in catalogue.known(tuple(dict.fromkeys(families))):
            kept = (kept_at(row["name"]) / "config.json").is_file()
            rows.setdefault(row["name"], {"domain": domain} | row | {"here": row["here"] or kept})
    return [*rows.values(), *(row for row in _own() if row["name"] not in rows)]


def fetch(name: str, alpha: float | None = None, size: int | None = None) -> list[Path]:
    """Bring a backbone from the network to where training finds it; return its folder or files.

    Args:
        name: an architecture of `keras.applications`, or a preset or handle of KerasHub.
        alpha, size: width multiplier and side in pixels, for architectures whose weights depend on them.

    Raises:
        UserError: unknown, or the network is not there or forbidden.
    """
    place = kept_at(name)
    if place.is_dir():
        return [place]
    try:
        if name in architectures():
            return catalogue.fetch(name, place, alpha, size)
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder()) as temporary:
            (saved,) = catalogue.fetch(name, Path(temporary) / "preset", alpha, size)
            saved.rename(place)
        return [place]
    except OSError as problem:
        raise UserError(f"can't write in {folder()}: {problem.strerror or problem}") from None


def pack(
    name: str, output: Path, weights: str = "imagenet", rename: str | None = None, licence: str | None = None
) -> Path:
    """Write a backbone of this machine as one archive, which `unpack` takes.

    Args:
        name: an architecture, a preset that was fetched, a preset folder, or a weights file.
        output: the archive, a .zip.
        weights: of an architecture: `imagenet`, or a weights file.
        rename: the name under which training shall find it.
        licence: a note on what its licence allows.

    Raises:
        UserError: not on this machine, or the archive can't be written.
    """
    path = Path(name)
    if path.is_file() or weights != "imagenet":
        file = path if path.is_file() else Path(weights)
        kind, files = "weights", {file.name: file}
        source = f"a weights file for {name}" if file != path else "a weights file"
    elif name in architectures():
        found = catalogue.weights_here(name)
        if not found:
            raise UserError(f"the weights of {name} are not on this machine; first say: horngate presets fetch {name}")
        kind, files, source = "weights", {file.name: file for file in found}, catalogue.ARCHITECTURES
        licence = licence or catalogue.TERMS.format("https://keras.io/api/applications")
    else:
        place = path if path.is_dir() else kept_at(name)
        if not place.is_dir():
            hint = nearest(name, architectures())
            raise UserError(f"no preset {name} on this machine; first say: horngate presets fetch {name}.{hint}")
        kind, files, source = "preset", preset_files(place), _told(place, "source")
        source = source or ("a preset folder" if path.is_dir() else name)
        licence = licence or _told(place, "licence")
    own = path.stem if path.is_file() else path.resolve().name if path.is_dir() else name
    facts = {"kind": kind, "name": rename or own, "source": source}
    return archive.pack(files, facts | {"licence": licence or catalogue.TERMS.format("its publisher's page")}, output)


def unpack(file: Path, overwrite: bool = False) -> tuple[dict[str, Any], list[Path]]:
    """Put an archive of `pack` where training finds it; return its manifest and the paths.

    Raises:
        UserError: damaged, unsafe, or something else stands there.
    """
    return archive.unpack(file, overwrite)


def _own() -> list[dict[str, Any]]:
    places = sorted(folder().glob("*/config.json")) if folder().is_dir() else []
    return [
        {
            "domain": None,
            "name": _told(path.parent, "name") or path.parent.name,
            "input_size": None,
            "parameters": None,
            "licence": _told(path.parent, "licence"),
            "source": _told(path.parent, "source") or "fetched",
            "here": True,
        }
        for path in places
    ]


def _told(place: Path, fact: str) -> str | None:
    return read_json(place / MANIFEST).get(fact) if (place / MANIFEST).is_file() else None
