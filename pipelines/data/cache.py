"""What is computed once and kept: arrays in the user's cache folder, named by what they were computed from."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from horngate.pipelines.errors import UserError

LIMIT = 10_000_000_000  # bytes; HORNGATE_CACHE_LIMIT sets another


def folder() -> Path:
    """Return the cache folder: `$HORNGATE_CACHE`, else the platform's for this user."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("HORNGATE_CACHE") or user_cache_path("horngate"))


def limit() -> int:
    """Return how many bytes the cache may hold.

    Raises:
        UserError: HORNGATE_CACHE_LIMIT is no number.
    """
    text = os.environ.get("HORNGATE_CACHE_LIMIT", str(LIMIT))
    try:
        return int(float(text))
    except ValueError:
        raise UserError(f"HORNGATE_CACHE_LIMIT should be a number of bytes. Received: {text}") from None


def cached_array(key: str, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]) -> np.ndarray:
    """Return a float32 array, mapped from the cache where it is complete, else filled by `fill` and kept.

    An array larger than the whole cache is made in memory and not kept. A half-written one is never used: it has
    a temporary name until it is whole.

    Args:
        key: a hash of all that the values depend on.
    """
    path = folder() / f"{key}.npy"
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.shape == shape and found.dtype == np.float32:
            os.utime(path)
            return found
    except (OSError, ValueError):
        pass  # absent or unreadable: made again
    size = int(np.prod(shape)) * 4
    if size > limit() // 2:
        array = np.zeros(shape, np.float32)
        fill(array)
        return array
    return _filled(path, shape, fill, size)


def entries() -> list[Path]:
    """Return the cache's files, least recently used first."""
    files = [path for path in folder().glob("*.npy") if path.is_file()] if folder().is_dir() else []
    return sorted(files, key=lambda path: path.stat().st_mtime)


def _filled(path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], None], size: int) -> np.ndarray:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(size)
        array = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        if hasattr(os, "posix_fallocate"):
            with temporary.open("r+b") as file:
                os.posix_fallocate(
                    file.fileno(), 0, temporary.stat().st_size
                )  # a full disk is an error here, not a crash
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"can't write {size:,} bytes into the cache {path.parent}: {problem.strerror}; "
            "make room or set HORNGATE_CACHE to another folder"
        ) from None
    try:
        fill(array)
        array.flush()
        temporary.replace(path)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    finally:
        temporary.unlink(missing_ok=True)


def _make_room(size: int) -> None:
    """Remove the least recently used arrays until `size` more bytes fit."""
    files = entries()
    total = sum(path.stat().st_size for path in files)
    while files and total + size > limit():
        oldest = files.pop(0)
        total -= oldest.stat().st_size
        oldest.unlink(missing_ok=True)
