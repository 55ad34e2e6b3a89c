"""Rows about people: pseudonyms stand for their ids and groups in everything that is written, and columns stay behind.

A pseudonym is a keyed hash (HMAC-SHA256, RFC 2104) of the id, so that the same row has the same one in every run on a
machine, and nobody without the key can try names out. What each stands for is kept in a private file beside the data.
"""

import csv
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from horngate.pipelines.data.sources.blocks import CORE
from horngate.pipelines.data.sources.tables import free_name
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import digest, home, printable

NAMES = ".horngate-pseudonyms.csv"  # hidden, so that it is never listed as an input
COLUMNS = ("kind", "pseudonym", "stands_for")
DIGITS = 20  # hexadecimal, of a pseudonym: 80 bits
KEY = 32  # bytes
OWN = 0o600  # readable and writable by this user alone


def hidden(blocks: Iterator[pa.Table], card: Data, source: str) -> Iterator[pa.Table]:
    """Yield blocks of rows about people with pseudonyms for ids and groups, without columns that nobody named.

    Reasons lose what they quote. When all blocks are through, the file of pseudonyms beside the source has what is new.

    Raises:
        UserError: the key can't be read or made; or the source can't be read, with nothing of its cells in the message.
    """
    pseudonyms = Pseudonyms(_key())
    kept = {free_name(name, card) for name in card.keep_column or ()} | set(card.rows.roles) | {"time"}
    try:
        for block in blocks:
            yield _hidden(block, pseudonyms, kept, card.rows.unit)
    except UserError as problem:
        raise type(problem)(re.sub(r' Received: ".*"$', "", str(problem), flags=re.DOTALL)) from None
    pseudonyms.keep(source)


class Pseudonyms:
    """Makes pseudonyms with a key, and remembers what they stand for."""

    def __init__(self, key: bytes):
        self.key, self.made = key, {}

    def of(self, kind: str, name: str | None) -> str | None:
        """Return the pseudonym of a name among its kind (`row`, `patient`); None for none."""
        if name is None:
            return None
        code = hmac.digest(self.key, f"{kind}\0{name}".encode("utf-8", "surrogateescape"), "sha256").hex()
        found = f"{kind[0]}{code[:DIGITS]}"
        self.made[found] = (kind, name)
        return found

    def keep(self, source: str) -> None:
        """Add what is new to the file of pseudonyms beside a source of files; samples and prepared data sets need none."""
        folder = _folder_of(source)
        if folder is None or not self.made:
            return
        try:
            self._keep(folder / NAMES)
        except OSError:
            place = home() / "pseudonyms" / f"{digest(os.fspath(folder.resolve()))}.csv"
            try:
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._keep(place)
            except OSError as problem:
                raise UserError(
                    f"can't write the file of pseudonyms beside {folder} nor in {place.parent} ({problem.strerror}); "
                    "make one of them writable, or set HORNGATE_HOME"
                ) from None
            progress.detail(f"the data's folder can't be written; what pseudonyms stand for is kept in {place}")

    def _keep(self, path: Path) -> None:
        known = _known(path)
        if self.made.keys() <= known.keys():
            return
        with FileLock(path.with_name(f"{path.name}.lock"), mode=OWN):
            known = _known(path) | self.made
            temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, OWN), "w", newline="") as out:
                writer = csv.writer(out, lineterminator="\n")
                writer.writerow(COLUMNS)
                writer.writerows((kind, name, printable(stands)) for name, (kind, stands) in known.items())
            temporary.replace(path)


def _known(path: Path) -> dict[str, tuple[str, str]]:
    """Return what a file of pseudonyms holds."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row[1]: (row[0], row[2]) for row in csv.reader(file) if len(row) == 3 and row[0] != COLUMNS[0]}
    except FileNotFoundError:
        return {}


def _hidden(block: pa.Table, pseudonyms: Pseudonyms, kept: set[str], unit: str) -> pa.Table:
    columns = {name: block[name] for name in block.column_names if name in CORE or name in kept}
    for name, kind in (("id", "row"), ("group", unit)):
        columns[name] = pa.array([pseudonyms.of(kind, value) for value in block[name].to_pylist()], pa.string())
    reasons = (None if reason is None else unquoted(reason) for reason in block["error"].to_pylist())
    return pa.table(columns | {"error": pa.array(list(reasons), pa.string())})


def unquoted(reason: str) -> str:
    """Return a reason without what it quotes, which stands in brackets or in quotation marks."""
    return re.sub(r"""\s*\(.*\)|\s*b'.*'|\s*".*\"""", "", reason, flags=re.DOTALL)


def _folder_of(source: str) -> Path | None:
    """Return the folder that a source lies in; None for one that is no file or folder here."""
    if source.startswith(("sample:", "tfds:")) or source == "-":
        return None
    path = Path(source)
    while any(sign in path.name for sign in "*?["):
        path = path.parent
    folder = path if path.is_dir() else path.parent
    return folder if folder.is_dir() else None


def _key() -> bytes:
    """Return this machine's key, made where there is none yet; only this user can read its file.

    Raises:
        UserError: it can't be read or written, or is damaged.
    """
    path = home() / "keys" / "pseudonyms"
    try:
        if not path.is_file():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _made(path)
        if path.stat().st_mode & 0o077:
            path.chmod(OWN)
        key = bytes.fromhex(path.read_text("ascii"))
    except OSError as problem:
        raise UserError(
            f"the key of pseudonyms {path} can't be used: {problem.strerror}; set HORNGATE_HOME to a folder of yours"
        ) from None
    except ValueError:
        key = b""
    if len(key) != KEY:
        raise UserError(f"the key of pseudonyms {path} is damaged; put it back from a copy, or remove it for a new one")
    return key


def _made(path: Path) -> None:
    """Write a new key, whole; where another process was first, its key stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, OWN), "w") as out:
            out.write(secrets.token_hex(KEY))
        if not path.exists():
            os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
