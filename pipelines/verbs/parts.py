"""Parts of a prediction: each is whole or absent, knows what made it, and is joined to the output at the end."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import digest, harmless, whole

PART = 1024  # rows
GROUP = 16 << 20  # bytes of answers in memory, from which on they become a row group of a Parquet file


class Parts:
    """The parts of one output, in `<output>.parts/`.

    Args:
        target: the output file.
        key: what the answers depend on beside the listing: model, options, format.
        overwrite: throw away parts that something else made, instead of refusing.
    """

    def __init__(self, target: Path, key: dict[str, Any], overwrite: bool):
        self.target, self.overwrite = target, overwrite
        self.folder = target.with_name(f"{target.name}.parts")
        self.key = json.dumps(key, sort_keys=True)
        self.waiting: list[tuple[int, str]] = []
        self.marks: list[str] = []
        self.listed = 0  # rows

    @property
    def begun(self) -> bool:
        """Whether some part is there already."""
        return any(self.folder.glob("part-*.parquet"))

    @property
    def listing(self) -> str:
        """The hash of the whole listing, once all blocks went through `missing`."""
        return digest(*self.marks)

    def listing_of(self, blocks: Iterator[pa.Table]) -> str:
        """Return the hash that `listing` has after these blocks."""
        return digest(*(_mark(block) for block in blocks))

    def missing(self, blocks: Iterator[pa.Table], done) -> Iterator[pa.Table]:
        """Yield the blocks whose part isn't there yet; `write` takes their answers in the same order.

        Raises:
            UserError: a part from another model, option or listing.
        """
        for number, block in enumerate(blocks):
            mark = _mark(block)
            self.marks.append(mark)
            self.listed += block.num_rows
            found = _made_from(self._path(number))
            if found == {"key": self.key, "listing": mark}:
                done(block.num_rows)
                continue
            if found is not None and not self.overwrite:
                raise UserError(
                    f"{self.folder} holds parts from another model, option or listing; "
                    "name another output or give --overwrite"
                )
            self.waiting.append((number, mark))
            yield block

    def write(self, table: pa.Table, errors: int) -> None:
        """Write the answers of the next missing block."""
        number, mark = self.waiting.pop(0)
        made_from = {"key": self.key, "listing": mark, "errors": errors}
        table = table.replace_schema_metadata({"horngate": json.dumps(made_from)})
        with whole(self._path(number)) as temporary:
            pq.write_table(table, temporary)

    def join(self) -> tuple[int, int]:
        """Write the output from all parts, whole; return its rows and how many of them have an error."""
        paths = [self._path(number) for number in range(len(self.marks))]
        if not paths:
            raise UserError("the inputs hold no row that this task can use")
        heads = [pq.read_metadata(path) for path in paths]
        rows = sum(head.num_rows for head in heads)
        if rows != self.listed:
            raise RuntimeError(f"{self.listed} rows were listed. Received answers for {rows}")
        with whole(self.target) as temporary:
            writer_for(self.target)(temporary, (pq.read_table(path) for path in paths))
        return rows, sum(json.loads(head.metadata[b"horngate"])["errors"] for head in heads)

    def clear(self) -> None:
        """Remove the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"


def writer_for(target: Path):
    """Return the function that writes tables to a file of this suffix.

    Raises:
        UserError: another suffix.
    """
    writers = {".parquet": _to_parquet, ".jsonl": _to_json_lines, ".csv": _to_csv}
    if target.suffix.lower() not in writers:
        raise UserError(f"the output should end in {', '.join(writers)}, or be - for stdout. Received: {target}")
    return writers[target.suffix.lower()]


def json_lines(table: pa.Table) -> Iterator[str]:
    """Yield the rows as JSON lines."""
    for row in table.to_pylist():
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _to_parquet(path: Path, tables: Iterator[pa.Table]) -> None:
    writer, held = None, []
    for table in tables:
        held.append(table.replace_schema_metadata(None))
        writer = writer or pq.ParquetWriter(path, held[0].schema)
        if sum(one.nbytes for one in held) >= GROUP:
            writer.write_table(pa.concat_tables(held))
            held = []
    if held:
        writer.write_table(pa.concat_tables(held))
    writer.close()


def _to_json_lines(path: Path, tables: Iterator[pa.Table]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for table in tables:
            out.writelines(json_lines(table))


def _to_csv(path: Path, tables: Iterator[pa.Table]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for number, table in enumerate(tables):
            if number == 0:
                writer.writerow(table.column_names)
            for row in table.to_pylist():
                writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return harmless(value)


def _mark(block: pa.Table) -> str:
    """Return the hash of a block's listing."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.schema) as writer:
        writer.write_table(block.combine_chunks())
    return digest(sink.getvalue().to_pybytes())


def _made_from(path: Path) -> dict[str, str] | None:
    """Return what made a part; None where there is no readable part."""
    try:
        made_from = json.loads(pq.read_metadata(path).metadata[b"horngate"])
        return {"key": made_from["key"], "listing": made_from["listing"]}
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
