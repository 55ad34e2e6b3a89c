"""What of a table's row is its input: a cell, the whole row, or a file that a cell names."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

from horngate.pipelines.system.files import printable


def text_of(cell) -> str | None:
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)


class Cells:
    """Inputs that stand in the table: texts; with a second column for pairs, both as a JSON list.

    Args:
        encoding: of texts, which their reader decodes them from again.
    """

    def __init__(self, encoding: str):
        self.encoding = encoding

    def taken(self, played: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        first = text_of(played["input"])
        if first is None:
            return None, None, None, "no input"
        if "pair" not in played:
            return self._encoded(first)
        second = text_of(played["pair"])
        if second is None:
            return None, None, None, "no second text"
        return self._encoded(json.dumps([first, second]))

    def _encoded(self, text: str) -> tuple[None, None, bytes | None, str | None]:
        try:
            return None, None, text.encode(self.encoding), None
        except UnicodeEncodeError as problem:
            return None, None, None, f"{problem.object[problem.start]!r} is no sign of {self.encoding}; see --encoding"


class WholeRows:
    """Inputs that are rows of the table: their cells as a JSON object, in the order of the columns."""

    def __init__(self, names: list[str]):
        self.names = names

    def taken(self, cells: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        own = {name: cells[name] for name in self.names if name in cells}
        return None, None, json.dumps(own, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"), None


class Paths:
    """Inputs that are files, named relative to the table's folder, or their bytes in a Parquet table."""

    def __init__(self, folder: Path, inside: Path | None):
        self.folder, self.inside = folder, inside

    def taken(self, played: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        given = played["input"]
        if isinstance(given, bytes):
            return None, None, given, None
        return text_of(given), *self._place(text_of(given))

    def mask(self, given: Any) -> tuple[str | None, str | None]:
        """Return where a row's mask lies, or itself as a data URI, and why it can't be used."""
        if isinstance(given, bytes):
            return f"data:;base64,{b64encode(given).decode()}", None
        text = text_of(given)
        if text is None or text.startswith("data:"):
            return text, None
        place, _, astray = self._place(text)
        return None if place is None else printable(os.fsdecode(place)), astray and f"its mask: {astray}"

    def _place(self, text: str | None) -> tuple[bytes | None, None, str | None]:
        if text is None:
            return None, None, "no input"
        place, inside = os.path.normpath(self.folder / text), self.inside
        if inside is not None and not Path(os.path.abspath(place)).is_relative_to(os.path.abspath(inside)):  # noqa: PTH100
            why = f"its path leaves the table's folder ({text[:80]}); pass --allow-outside if that is meant"
            return None, None, why
        return os.fsencode(place), None, None
