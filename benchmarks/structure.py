"""The structure of the code in figures, as docs/architecture.md tells them: python benchmarks/structure.py

Prints members to know, ancestors of parts, hops to the first gradient step, imports in functions, circles, rooms, short
files and lines. The limits are those of tests/contract/test_architecture.py, which hold without this script.
"""

import os
import sys
import tempfile
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "contract"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import test_architecture as house  # noqa: E402

from horngate.cli.main import main  # noqa: E402


def figures() -> None:
    """Print what can be read off the files."""
    print("members of the protocols", len(house.members()))
    deepest = max(
        len(house.ancestors(place))
        for domain, task in house.TASKS
        for place in vars(import_module(f"horngate.pipelines.{domain}.{task}").PARTS).values()
        if place is not None and " " not in place
    )
    print("ancestors of a part, at most", deepest)
    hidden = [names for path in house.modules().values() for names, within in house.imports_of(path) if within]
    own = [names for names in hidden if any(name.startswith("horngate") for name in names)]
    print("imports in functions, own / all", len(own), "/", len(hidden))
    print("files in import circles", len(house.circles()))
    rooms = Counter(str(path.parent.relative_to(ROOT)) for path in house.modules().values())
    print("fullest room", *rooms.most_common(1)[0])
    print("short files", len(house.short_files()))
    print("lines", sum(len(path.read_text("utf-8").splitlines()) for path in house.modules().values()))
    print("lines of README", len((ROOT / "README.md").read_text("utf-8").splitlines()))


def hops() -> None:
    """Print the functions of the product between the command line and the first gradient step, and end there."""

    def fit(*words, **options):
        stack = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(ROOT)]
        own = [frame for frame in stack if Path(frame.filename).relative_to(ROOT).parts[0] in house.FOLDERS]
        print("hops from the command to the first gradient step", len(own))
        for frame in own:
            print("   ", Path(frame.filename).relative_to(ROOT), frame.name)
        sys.stdout.flush()
        os._exit(0)

    keras.Model.fit = fit
    sys.argv = ["horngate", "-q", "vision", "classify", "train", "--recipe", "tiny", "-o", tempfile.mkdtemp()]
    main()


if __name__ == "__main__":
    figures()
    hops()
