"""A run: the folder that one training makes and that explains itself."""

import os
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.spec.recipe import read_card, to_yaml
from horngate.pipelines.system.files import digest, file_digest, read_json, read_table, whole, write_json, write_text

FORMAT = 1
# What answers depend on, in runs that don't name it themselves.
FORMER = (
    "model.keras",
    "labels.json",
    "alarms.json",
    "schema.json",
    "tokenizer.json",
    "sides.parquet",
    "language.json",
)
FORMER += ("tokenizer.spm", "users.parquet", "items.parquet", "interactions.parquet")


class Run(os.PathLike):
    """A run folder. `run.json` is written last: a folder without it is an unfinished run, which can be resumed."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @classmethod
    def create(cls, card: Data, below: str | None = None) -> "Run":
        """Make a new folder with a name that never collides, and write `recipe.yaml` first.

        Args:
            card: what is written.
            below: where the folder is made, if the card's `output` says it in other words.
        """
        output = Path(below or card.output)
        stem = "-".join(task_name(card)) + datetime.now().strftime("-%Y%m%d-%H%M%S")
        try:
            output.mkdir(parents=True, exist_ok=True)
            for attempt in range(1000):
                folder = output / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
                try:
                    folder.mkdir()
                    break
                except FileExistsError:
                    continue
        except OSError as problem:
            raise UserError(f"can't make a run in {output}: {problem.strerror or problem}") from None
        run = cls(folder)
        write_text(run / "recipe.yaml", to_yaml(card))
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike, finished: bool = True) -> "Run":
        """Open an existing run.

        Raises:
            UserError: no run there; one from a newer version; an unfinished one, where `finished` is asked for.
        """
        run = cls(folder)
        if not (run / "recipe.yaml").is_file():
            raise UserError(f"{run.folder} is no run folder: it has no recipe.yaml")
        if run.finished:
            if run.summary.get("format", FORMAT + 1) > FORMAT:
                raise UserError(f"{run.folder} was written by a newer horngate; update this one to open it")
        elif finished:
            domain, task = task_name(run.card)
            raise UserError(
                f"{run.folder} is unfinished; go on with: horngate {domain} {task} train --resume {run.folder}"
            )
        return run

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def inside(self, *names: str) -> Path:
        """Return a path below the run, to write to.

        Raises:
            UserError: a link in the run leads out of it.
        """
        path = self.folder.joinpath(*names)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise UserError(f"{path} leads out of the run; nothing is written there")
        return path

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return (self / "run.json").is_file()

    @cached_property
    def card(self) -> Data:
        """The recipe that the run was trained with."""
        return read_card(self / "recipe.yaml")

    @property
    def summary(self) -> dict[str, Any]:
        """What `run.json` says."""
        return read_json(self / "run.json")

    @cached_property
    def labels(self) -> dict[str, Any]:
        """What translates scores to answers: label names in order, thresholds, conformal quantile."""
        return read_json(self / "labels.json")

    @property
    def splits(self):
        """The Arrow table of `splits.parquet`: id, split, group, target, fingerprint."""
        return read_table(self / "splits.parquet")

    @property
    def fingerprint(self) -> str:
        """A hash of all that its answers depend on: of the files that its `run.json` names."""
        names = self.summary.get("files", FORMER)
        return digest(*(file_digest(self / name) for name in names if (self / name).is_file()))

    def keep_model(self, model: Any) -> None:
        """Write a Keras model to `model.keras`, whole or not at all."""
        with whole(self / "model.keras") as temporary:
            model.save(temporary, include_optimizer=False)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write `run.json`; from then on the run counts as whole."""
        domain, task = task_name(self.card)
        write_json(self / "run.json", {"format": FORMAT, "domain": domain, "task": task} | summary)


def list_runs(folder: str | os.PathLike) -> list[Run]:
    """Return the runs directly below a folder, oldest first."""
    found = [Run(path.parent) for path in Path(folder).glob("*/recipe.yaml")]
    return sorted(found, key=lambda run: (run / "recipe.yaml").stat().st_mtime)
