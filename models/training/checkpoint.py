"""The state of a training, in one file that is either whole or absent, with a checksum for every array."""

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from horngate.models.errors import UserError


class DamagedCheckpoint(UserError, ValueError):
    """A checkpoint that can't be trusted; one line that names the file."""


class UnwrittenCheckpoint(UserError, ValueError):
    """A checkpoint that can't be written; the one before it is untouched."""


def save(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write arrays and plain facts to a temporary name, flush them to disk, and rename.

    Raises:
        UnwrittenCheckpoint: no room or no permission.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as out:
            np.savez(out, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as problem:
        why = problem.strerror or problem
        raise UnwrittenCheckpoint(f"can't write the checkpoint {path}: {why}; the one before it is intact") from problem
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and facts of a checkpoint; the zip's checksums are compared while reading.

    Raises:
        DamagedCheckpoint: the file is no checkpoint, or cut, or altered.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return arrays, json.loads(arrays.pop("facts").tobytes().decode())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        why = " ".join(str(problem).split())[:100]
        raise DamagedCheckpoint(f"the checkpoint {path} is damaged ({why}); delete it to repeat that phase") from None


def values_of(variables) -> list[np.ndarray]:
    """Return copies of variables as arrays, in order."""
    return [np.array(variable) for variable in variables]


def assign(variables, values: list[np.ndarray]) -> None:
    """Give variables the values that `values_of` returned.

    Raises:
        DamagedCheckpoint: another number of variables, or other shapes.
    """
    if len(variables) != len(values):
        raise DamagedCheckpoint(f"the checkpoint holds {len(values)} variables, the model {len(variables)}")
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise DamagedCheckpoint(
                f"the checkpoint's {variable.path} has the shape {value.shape}, not {variable.shape}"
            )
        variable.assign(value)
