"""CoNLL columns as a source, and the check of spans in any source: the door of `nlp tag`."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import BLOCK, SPLITS, Listing, block
from horngate.pipelines.data.sources.table_files import decoding
from horngate.pipelines.nlp.tag.spans import BadSpans, fitting, of_tags, parsed, written
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError

COLUMNS = (".conll", ".bio", ".iob", ".iob2", ".annotated")
LABELLED = (*COLUMNS, ".txt")  # a bare .txt is one text
HEADER = "-DOCSTART-"


def opens(path: Path, labelled: bool) -> bool:
    """Whether a path holds CoNLL columns: by its suffix; where rows have labels, also any folder and any `.txt`."""
    return path.suffix.lower() in (LABELLED if labelled else COLUMNS) or (labelled and path.is_dir())


def blocks(path: Path, card: Data, labelled: bool, listing: Listing) -> Iterator[pa.Table]:
    """Yield blocks of the sentences of a file, or of all files of a folder; a file's name says its split.

    Raises:
        UserError: no such file in the folder, or one that can't be read.
    """
    files = [path]
    if path.is_dir():
        seen = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        files = [file for file in seen if file.suffix.lower() in LABELLED]
        listing.skipped.update(file.suffix.lower() or "(none)" for file in seen if file not in files)
        if not files:
            raise UserError(f"{path} holds no files of CoNLL columns ({', '.join(LABELLED)})")
    for file in files:
        rows = (_row(file, number, lines, labelled, listing) for number, lines in _sentences(file, card.encoding))
        split = split_of(file.name) if path.is_dir() else None
        while part := list(islice(rows, BLOCK)):
            columns = {name: [row[name] for row in part] for name in part[0]}
            yield block(columns | {"split": [split] * len(part)})


def split_of(name: str) -> str | None:
    """Return the split that a file's name says, such as validation for `emerging.dev.conll`."""
    parts = re.split(r"[^a-z]+", name.lower())
    found = [SPLITS[part] for part in parts if part in SPLITS]
    ends = [split for word, split in SPLITS.items() if any(part.endswith(word) for part in parts)]
    return next(iter([*found, *ends]), None)


def checked(table: pa.Table) -> pa.Table:
    """Return a block whose targets are spans in one form; where they don't fit the text, `error` says why."""
    errors, targets = table["error"].to_pylist(), table["target"].to_pylist()
    for row, value in enumerate(table["value"].to_pylist()):
        if errors[row] is not None or targets[row] is None or value is None:
            continue
        try:
            targets[row] = written(fitting(parsed(targets[row]), value.decode("utf-8", "replace")))
        except BadSpans as problem:
            errors[row] = str(problem)
    for name, values in (("target", targets), ("error", errors)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def _sentences(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line, and the lines, of each sentence."""
    lines: list[str] = []
    with decoding(path, encoding), path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        for number, line in enumerate(file, 1):
            bare = line.strip("\n")
            if bare.strip() and not bare.startswith(HEADER):
                lines.append(bare)
            elif lines:
                yield number - len(lines), lines
                lines = []
    if lines:
        yield number + 1 - len(lines), lines


def _row(path: Path, number: int, lines: list[str], labelled: bool, listing: Listing) -> dict:
    """Return a sentence as a row: its tokens joined by blanks, and its spans in that text."""
    cells = [(line.split("\t") if "\t" in line else line.split(" ")) for line in lines]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    text, words = "", []
    for row in cells:
        words.append((len(text), len(text) + len(row[0])))
        text += f"{row[0]} "
    row = {"id": f"{path.name}:{number}", "value": text.rstrip(" ").encode(), "target": None, "error": None}
    if not labelled:
        return row
    lacking = next((place for place, row_cells in enumerate(cells) if len(row_cells) < 2), None)
    if lacking is not None:
        return row | {"error": f"a line without a tag: line {number + lacking}"}
    try:
        spans, repaired = of_tags([row_cells[-1] for row_cells in cells], words)
    except BadSpans as problem:
        return row | {"error": str(problem)}
    if repaired:
        listing.converted["I- without a B- before it, as B-"] += repaired
    return row | {"target": written(spans)}
