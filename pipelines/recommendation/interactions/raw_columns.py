"""Columns as files hold them become texts, codes, numbers, times and splits; worked on whole, never row by row."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.sources.blocks import split_name
from horngate.pipelines.data.sources.table_inputs import text_of
from horngate.pipelines.data.splits import NAMES

SHOWN = 40  # letters of a cell in a reason
UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"), (0, 1, "seconds"))


def times_of(column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    """Return float64 seconds since 1970, NaN where a cell is none, and what they were read as.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size: those of the last hundred years.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _seconds(column), f"times of type {column.type}"
    values = numbers_of(column)
    known = values[np.isfinite(values)]
    missing = len(values) - len(known)
    if not pa.types.is_string(column.type) or len(known) > missing:
        size = np.median(np.abs(known)) if len(known) else 0.0
        _, unit, name = next(row for row in UNITS if size >= row[0])
        return np.where(np.isfinite(values), values / unit, np.nan), f"{name} since 1970"
    return _iso(column), "ISO 8601"


def _iso(column: pa.ChunkedArray) -> np.ndarray:
    """Return the seconds of texts; times without a zone count as UTC."""
    texts = pc.utf8_trim_whitespace(column)
    plain = pc.replace_substring_regex(texts, r"^(\d{4}-\d{2}-\d{2})$", r"\1 00:00:00")
    plain = pc.replace_substring_regex(plain, r"^(.*\d)Z$", r"\1+00:00")
    good = pc.match_substring_regex(
        plain, r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([+-]\d{2}:?\d{2})?$"
    )
    zoned = pc.match_substring_regex(plain, r"[+-]\d{2}:?\d{2}$")
    seconds = np.full(len(column), np.nan)
    for zone in (False, True):
        own = pc.and_(good, zoned if zone else pc.invert(zoned)).fill_null(False)
        rows = np.flatnonzero(own.to_numpy())
        if len(rows):
            seconds[rows] = _casted(plain.take(pa.array(rows)), pa.timestamp("us", "UTC" if zone else None))
    return seconds


def _casted(texts: pa.ChunkedArray, kind: pa.DataType) -> np.ndarray:
    """Return the seconds of texts of the right form; a day that no calendar has is NaN."""
    try:
        return _seconds(texts.cast(kind))
    except pa.ArrowInvalid:
        return np.array([_one(text, kind) for text in texts])


def _one(text: pa.Scalar, kind: pa.DataType) -> float:
    try:
        return text.cast(kind).value / 1e6
    except pa.ArrowInvalid:
        return float("nan")


def _seconds(column: Any) -> np.ndarray:
    found = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
    return found.cast(pa.float64(), safe=False).to_numpy() / 1e6


def texts_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as texts; nested cells as JSON, whole numbers the same whatever type they have."""
    if pa.types.is_nested(column.type):
        return pa.chunked_array([pa.array([text_of(cell) for cell in column.to_pylist()], pa.string())])
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        whole = pc.and_(pc.equal(pc.round(column), column), pc.less(pc.abs(column), 2.0**53))
        return pc.if_else(whole, pc.cast(column, pa.int64(), safe=False).cast(pa.string()), column.cast(pa.string()))
    return column.cast(pa.string())


def codes_of(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return codes int32, -1 where a cell is empty, and the texts that they stand for."""
    if not pa.types.is_dictionary(column.type):
        column = texts_of(column).dictionary_encode()
    if not len(column):
        return np.empty(0, np.int32), pa.array([], pa.string())
    whole = pa.chunked_array(column.chunks).unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    texts = whole.dictionary.cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False).astype(bool)
    codes = whole.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where((codes >= 0) & ~blank[codes], codes, -1).astype(np.int32), texts


def numbers_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as float64, NaN where a cell is no number."""
    if pa.types.is_string(column.type):
        texts = pc.utf8_trim_whitespace(column)
        plain = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        column = pc.if_else(plain, texts, pa.scalar(None, pa.string()))
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False) if len(column) else np.empty(0)


def splits_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return the given splits as their places in `NAMES`, -1 where there is none."""
    codes, names = codes_of(column)
    places = [-1 if not name.strip() else NAMES.index(split_name(name)) for name in names.to_pylist()]
    return np.array([*places, -1], np.int8)[codes]
