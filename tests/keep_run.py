"""Makes the run that tests/contract/test_old_runs.py keeps for the current format; run it once when FORMAT changes.

python tests/keep_run.py
"""

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from horngate.pipelines import predict, train
from horngate.pipelines.data.samples import sample
from horngate.pipelines.runs.run import FORMAT
from horngate.pipelines.spec.recipe import to_yaml
from horngate.pipelines.system.files import write_text
from horngate.pipelines.vision import Classify


def main() -> None:
    """Train a very small network, predict seven files, and keep what later versions must open."""
    folder = Path(__file__).parent / "data" / f"run-format-{FORMAT}"
    card = Classify(data="sample:digits", backbone="mobilenet", weights="none", alpha=0.1, image_size=32, epochs=3)
    run = train(replace(card, output=tempfile.mkdtemp()))
    shutil.copytree(run.folder, folder / "run", ignore=shutil.ignore_patterns("checkpoints", ".lock"))
    write_text(folder / "run" / "recipe.yaml", to_yaml(card))
    environment = json.loads((folder / "run" / "environment.json").read_text())
    write_text(folder / "run" / "environment.json", json.dumps(environment | {"git_commit": None}, indent=1))
    (folder / "pictures").mkdir()
    (table,) = sample("digits")
    for row in range(6):
        (folder / "pictures" / f"{row}.png").write_bytes(table["value"][row].as_py())
    (folder / "pictures" / "broken.png").write_text("no picture")
    os.chdir(folder)
    predict("run", ["pictures"], "answers.parquet")


if __name__ == "__main__":
    main()
