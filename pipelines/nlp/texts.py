"""The one reader of texts: bytes in, one text or a pair out."""

import json
from dataclasses import dataclass

from horngate.pipelines.errors import Unreadable

SUFFIXES = (".txt",)
MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Facts:
    """What was seen of one row: its text (both of a pair, with a blank between), and what was converted."""

    text: str
    converted: tuple[str, ...]
    thumbnail: None = None


def texts_of(data: bytes, paired: bool, encoding: str = "utf-8") -> tuple[str, str | None]:
    """Return the text of a row, and the second of a pair, without NULs and without blanks at the ends.

    Raises:
        Unreadable: not of the encoding, empty, too long, or no pair where one is asked for.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable(f"too long: {len(data):,} bytes of text; at most {MOST_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as problem:
        raise Unreadable(
            f"no {encoding}: byte {problem.start} can't be decoded ({problem.reason}); see --encoding"
        ) from None
    parts = _pair(text) if paired else (text, None)
    first, second = (None if part is None else part.replace("\0", " ").strip() for part in parts)
    if not first or (paired and not second):
        raise Unreadable(
            "empty: a text of blanks alone" if not paired else "empty: one text of the pair has blanks alone"
        )
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
    converted = []
    if b"\0" in data:
        converted.append("NUL characters")
    if data.startswith(b"\xef\xbb\xbf"):
        converted.append("byte order mark")
    first, second = texts_of(data, paired, encoding)
    return Facts(first if second is None else f"{first} {second}", tuple(converted))
