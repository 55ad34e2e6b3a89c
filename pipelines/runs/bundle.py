"""A bundle: an exported model with all that is needed to use it and to prove that it answers as its run does."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import start
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import read_card
from horngate.pipelines.system.files import file_digest, read_json, write_text

if TYPE_CHECKING:
    from horngate.pipelines.runtimes import Runtime

FORMAT = 1
SUMS = "SHA256SUMS"
MODELS = {"saved_model": "model/1", "onnx": "model.onnx", "litert": "model.tflite"}


@dataclass(frozen=True)
class Bundle(os.PathLike):
    """A folder that `export` wrote; `bundle.json` says what is in it."""

    folder: Path

    def __fspath__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `bundle.json` says.

        Raises:
            UserError: written by a newer version, or of an unknown kind.
        """
        facts = read_json(self / "bundle.json")
        if not isinstance(facts, dict) or facts.get("format", FORMAT + 1) > FORMAT:
            raise UserError(f"{self.folder} was written by a newer horngate; update this one to open it")
        if facts.get("kind") not in MODELS:
            raise UserError(f"{self.folder} is a bundle of an unknown kind: {facts.get('kind')}")
        return facts

    @cached_property
    def card(self) -> Data:
        """The recipe of the run that was exported."""
        return read_card(self / "recipe.yaml")

    @property
    def model(self) -> Path:
        """The model's file or folder."""
        return self / MODELS[self.facts["kind"]]

    def start(self) -> "Runtime":
        """Return the runtime of the model, ready to answer.

        Raises:
            UserError: its package is missing, or it rejects the file.
        """
        return start(self.facts["kind"], self.model)

    def seal(self) -> None:
        """Write the checksums of all files, in the form that `sha256sum -c` reads."""
        lines = [f"{_sum(path)}  {path.relative_to(self.folder).as_posix()}\n" for path in self._files()]
        write_text(self / SUMS, "".join(lines))

    def broken(self) -> list[str]:
        """Return what is wrong with the files, one line each: changed, missing, or not in the list of checksums."""
        try:
            lines = (self / SUMS).read_text("utf-8").splitlines()
        except OSError as problem:
            return [f"{SUMS} can't be read: {problem.strerror}"]
        promised = dict(reversed(line.split("  ", 1)) for line in lines if "  " in line)
        found = {path.relative_to(self.folder).as_posix(): path for path in self._files()}
        wrong = [f"{name} is missing" for name in promised if name not in found]
        wrong += [f"{name} is not in {SUMS}" for name in found if name not in promised]
        changed = [name for name, path in found.items() if name in promised and _sum(path) != promised[name]]
        return wrong + [f"{name} was changed" for name in changed]

    @property
    def fingerprint(self) -> str:
        """A hash of all that the bundle holds."""
        return file_digest(self / SUMS)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != SUMS)


def opened(folder: str | os.PathLike) -> Run | Bundle:
    """Open a finished run or a bundle.

    Raises:
        UserError: neither, unfinished, or from a newer version.
    """
    if isinstance(folder, Run | Bundle):
        return folder
    bundle = Bundle(Path(folder))
    if (bundle / "bundle.json").is_file():
        _ = bundle.facts
        return bundle
    return Run.open(folder)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
