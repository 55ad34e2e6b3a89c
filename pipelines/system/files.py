"""Files that are either whole or absent, and folders that only one process writes."""

import csv
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_data_path

from horngate.pipelines.spec.errors import UserError


def home() -> Path:
    """Return where what outlives runs on this machine is kept (keys, presets): `$HORNGATE_HOME`, else the user's data."""
    return Path(os.environ.get("HORNGATE_HOME") or user_data_path("horngate"))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, on failure removed.

    Raises:
        UserError: the folder can't be written or the disk is full; what stood at `path` is untouched.
    """
    temporary = path.with_name(f".{os.getpid()}.part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise UserError(f"can't write {path}: {problem.strerror or problem}; what was there is unchanged") from problem
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with whole(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (never NaN) whole."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        UserError: missing or damaged; names the file.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise UserError(f"{path} can't be read: {problem.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: it holds no valid JSON") from None


def write_rows(path: Path, rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Write a CSV file whole; cells that a spreadsheet would run as formulas get a leading apostrophe."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)


def harmless(value: Any) -> Any:
    """Return a CSV cell that no spreadsheet runs: texts that begin like a formula, and are no number, get an apostrophe."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        float(value)
        return value
    except ValueError:
        return f"'{value}"


def write_table(path: Path, table) -> None:
    """Write an Arrow table as Parquet, whole."""
    import pyarrow.parquet as pq

    with whole(path) as temporary:
        pq.write_table(table, temporary)


def read_table(path: Path):
    """Return the Arrow table that a Parquet file holds.

    Raises:
        UserError: missing or damaged; names the file.
    """
    from pyarrow import ArrowException, parquet

    try:
        with path.open("rb") as file:
            return parquet.read_table(file)
    except OSError as problem:
        raise UserError(f"{path} can't be read: {problem.strerror or problem}") from None
    except ArrowException:
        raise UserError(f"{path} is damaged: it holds no valid Parquet table") from None


@contextmanager
def only_writer(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder's lock, which dies with its process.

    Raises:
        UserError: another process holds it, or the folder can't be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(f"another process is {doing} {folder}; wait for it or stop it") from None
    except OSError as problem:
        raise UserError(f"can't write in {folder}: {problem.strerror or problem}") from None
    try:
        yield
    finally:
        lock.release()


def printable(path: str | os.PathLike) -> str:
    """Return a path as text; a name that is no UTF-8 comes percent-encoded."""
    text = os.fspath(path)
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return quote(os.fsencode(text), safe="/ ")


def digest(*parts: bytes | str) -> str:
    """Return a hash (32 hex digits) of the parts, each with its length, so that no two lists collide."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Return a hash (32 hex digits) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _plain(value: Any) -> Any:
    """Return a NumPy scalar or array as plain Python, for JSON."""
    if hasattr(value, "tolist"):
        plain = value.tolist()
        return None if isinstance(plain, float) and not math.isfinite(plain) else plain
    return str(value)
