"""The one reader of texts: bytes in, one text or a pair out."""

import json
from dataclasses import dataclass

from horngate.pipelines.spec.errors import Unreadable

SUFFIXES = (".txt",)
MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Facts:
    """What was seen of one row: its text (both of a pair, with a blank between), and what was converted."""

    text: str
    converted: tuple[str, ...]
    thumbnail: None = None


def decoded(data: bytes, encoding: str = "utf-8") -> str:
    """Return bytes as one text; NULs and a byte order mark become blanks, so that the places of all other signs stay.

    Raises:
        Unreadable: not of the encoding, or too long.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable(f"too long: {len(data):,} bytes of text; at most {MOST_BYTES:,} are read")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as problem:
        raise Unreadable(
            f"no {encoding}: byte {problem.start} can't be decoded ({problem.reason}); see --encoding"
        ) from None
    text = text.replace("\0", " ")
    return " " + text[1:] if text.startswith("\ufeff") else text


def raw_text(data: bytes, encoding: str = "utf-8") -> str:
    """Return the text of a row as it stands, blanks at its ends included.

    Raises:
        Unreadable: as `decoded`, or nothing but blanks.
    """
    text = decoded(data, encoding)
    if not text.strip():
        raise Unreadable("empty: a text of blanks alone")
    return text


def texts_of(data: bytes, paired: bool, encoding: str = "utf-8") -> tuple[str, str | None]:
    """Return the text of a row, and the second of a pair, without NULs and without blanks at the ends.

    Raises:
        Unreadable: as `raw_text`, or no pair where one is asked for.
    """
    if not paired:
        return raw_text(data, encoding).strip(), None
    first, second = (part.replace("\0", " ").strip() for part in _pair(decoded(data, encoding)))
    if not first or not second:
        raise Unreadable("empty: one text of the pair has blanks alone")
    return first, second


def _pair(text: str) -> tuple[str, str]:
    try:
        first, second = json.loads(text)
    except (ValueError, TypeError):
        raise Unreadable("no second text: this run takes pairs, from a table with both columns") from None
    return str(first), str(second)


def inspected(data: bytes, paired: bool, encoding: str) -> Facts:
    """Return what `check` wants to know of a row.

    Raises:
        Unreadable: as `texts_of`.
    """
    first, second = texts_of(data, paired, encoding)
    return Facts(first if second is None else f"{first} {second}", seen_in(data))


def seen_in(data: bytes) -> tuple[str, ...]:
    """Return what is converted when these bytes are read."""
    nul = ("NUL characters",) if b"\0" in data else ()
    return nul + (("byte order mark",) if data.startswith(b"\xef\xbb\xbf") else ())
