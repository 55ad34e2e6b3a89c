"""What is computed once and kept: arrays and files in the user's cache folder, named by what they were made from."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

from horngate.pipelines.spec.errors import UserError

SUFFIXES = (".npy", ".tflite")
LIMIT = 10_000_000_000  # bytes; HORNGATE_CACHE_LIMIT sets another


def folder() -> Path:
    """Return the cache folder: `$HORNGATE_CACHE`, else the platform's for this user."""
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


def cached_file(name: str, make: Callable[[Path], None], size: int) -> Path:
    """Return a file of the cache, made by `make` (which writes to the path that it is given) where it isn't there yet.

    Args:
        name: a hash of all that the content depends on, with a suffix of `SUFFIXES`.
        size: bytes that it will take, about.
    """
    path = folder() / name
    if path.is_file():
        os.utime(path)
        return path
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{time.monotonic_ns()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(size)
        make(temporary)
        temporary.replace(path)
    except OSError as problem:
        raise UserError(
            f"can't write {path.name} into the cache {path.parent}: {problem.strerror or problem}"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def entries() -> list[Path]:
    """Return the cache's files, least recently used first."""
    files = [path for suffix in SUFFIXES for path in folder().glob(f"*{suffix}") if path.is_file()]
    return sorted(files, key=lambda path: path.stat().st_mtime)


def info() -> dict[str, Any]:
    """Return folder, number of files, bytes, limit and unfinished files of the cache."""
    files = entries()
    sizes = [path.stat().st_size for path in files]
    unfinished = len(_unfinished(folder(), older=0.0))
    return {
        "folder": str(folder()),
        "files": len(files),
        "bytes": sum(sizes),
        "limit": limit(),
        "unfinished": unfinished,
    }


def clear() -> int:
    """Remove all files of the cache, also what killed processes left unfinished; return the bytes made free.

    Arrays that other processes have mapped stay readable to them.
    """
    with _locked():
        files = [*entries(), *_unfinished(folder(), older=0.0)]
        freed = sum(path.stat().st_size for path in files)
        for path in files:
            path.unlink(missing_ok=True)
    return freed


def _unfinished(place: Path, older: float) -> list[Path]:
    """Return temporary files that nobody has written to for so many seconds."""
    now = time.time()
    return [path for path in place.glob(".*.part") if now - path.stat().st_mtime >= older] if place.is_dir() else []


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the cache's lock, so that only one process at a time removes files."""
    folder().mkdir(parents=True, exist_ok=True)
    with FileLock(folder() / ".lock"):
        yield


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
    """Remove the least recently used arrays until `size` more bytes fit, and what processes killed a day ago left."""
    with _locked():
        for path in _unfinished(folder(), older=86_400):
            path.unlink(missing_ok=True)
        sizes = {path: path.stat().st_size for path in entries()}
        total = sum(sizes.values())
        for path, freed in sizes.items():
            if total + size <= limit():
                break
            path.unlink(missing_ok=True)
            total -= freed
