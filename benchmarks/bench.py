"""What the benchmarks share: where the real data lies, folders made from it, and how results are kept."""

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("HORNGATE_DATA", "."))
FLOWERS = DATA / "vision" / "flowers5"
PEAK = """import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "horngate.cli", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def keep(benchmark: str, row: str, found: dict[str, Any]) -> None:
    """Print a row and merge it, with machine and date, into results/<benchmark>.json."""
    path = Path(__file__).parent / "results" / f"{benchmark}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    results[row] = {"date": date.today().isoformat(), "machine": machine, "results": found}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(row, json.dumps(found), flush=True)


def few_flowers(folder: Path, each: int, kinds: tuple[str, ...] | None = None) -> Path:
    """Link `each` photographs of every class (or of some) below `folder`."""
    for kind in kinds or sorted(path.name for path in FLOWERS.iterdir() if path.is_dir()):
        (folder / kind).mkdir(parents=True)
        for path in sorted((FLOWERS / kind).glob("*.jpg"))[:each]:
            (folder / kind / path.name).symlink_to(path)
    return folder


def many_flowers(folder: Path, files: int) -> Path:
    """Link so many photographs into one folder, in turns."""
    pictures = sorted(FLOWERS.glob("*/*.jpg"))
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number:06d}.jpg").symlink_to(pictures[number % len(pictures)])
    return folder


def peak_of(*words: str) -> float:
    """Return the peak resident memory of a horngate command in MB, run in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024
