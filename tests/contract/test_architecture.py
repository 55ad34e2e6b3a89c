"""What keeps the code easy to extend, held as figures (docs/architecture.md); each test names the offender."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.discovery import domains
from horngate.pipelines.tasks import parts as protocols
from horngate.pipelines.tasks.bases import ListedRows

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "models", "pipelines")
TASKS = [(domain, task) for domain, cards in domains().items() for task in cards]
HEAVY = ("tensorflow", "keras", "numpy", "pyarrow", "sklearn", "PIL", "scipy", "matplotlib", "tensorflow_datasets")
PARTS = {"rows": "RowSource", "reader": "Reader", "learner": "Learner", "predictor": "Predictor"}
PARTS |= {"evaluator": "Evaluator", "display": "Display", "exporter": "Exporter"}
MOST_MEMBERS, MOST_ANCESTORS, MOST_FILES, MOST_SHORT = 42, 2, 17, 20
MOST_OWN_IMPORTS, MOST_IMPORTS = 40, 120  # within functions
SHORT = 40  # lines
# What a run keeps beside what its answers depend on.
RECORDS = {"recipe.yaml", "splits.parquet", "quarantine.csv", "history.csv", "references.json", "environment.json"}
RECORDS |= {"run.json", "profile.npz", "runtime.json"}


@cache
def modules() -> dict[str, Path]:
    """The modules of the product by name."""
    found = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            name = "horngate." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports_of(path: Path) -> list[tuple[list[str], bool]]:
    """The imports of a file that are carried out: names, and whether within a function."""
    tree = ast.parse(path.read_text("utf-8"))
    typing = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if id(node) not in typing and isinstance(node, ast.Import | ast.ImportFrom):
            whole = isinstance(node, ast.Import)
            names = [name.name if whole else f"{node.module}.{name.name}" for name in node.names]
            found.append((names, id(node) not in top))
    return found


def imported(path: Path) -> set[str]:
    """The modules of the product that a file imports, wherever in it."""
    found = set()
    for names, _ in imports_of(path):
        for name in names:
            while name and name not in modules():
                name = name.rpartition(".")[0]
            if name and modules()[name] != path:
                found.add(name)
    return found


def circles() -> list[str]:
    """The modules that import each other, however indirectly, wherever the imports stand."""
    graph = {name: imported(path) for name, path in modules().items()}
    while free := [name for name, others in graph.items() if not others & graph.keys()]:
        for name in free:
            del graph[name]
    # What is left leads to a circle; what nothing of it leads back to is no part of one.
    while led := [name for name in graph if not any(name in others for others in graph.values())]:
        for name in led:
            del graph[name]
    return sorted(graph)


def short_files() -> list[str]:
    """The files that are hardly worth one; those that mark a package don't count, nor do samples, each of which is one."""
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in modules().values()}
    names = [str(path.relative_to(ROOT)) for path, count in lines.items() if count < SHORT]
    names = [name for name in names if not name.startswith("pipelines/data/samples/")]
    return sorted(name for name in names if not name.endswith(("__init__.py", "__main__.py")))


def members() -> set[str]:
    """What a task's author must know: the public members of the protocols of its parts."""
    return {
        f"{part}.{name}"
        for part in PARTS.values()
        for name in {*vars(getattr(protocols, part)), *getattr(protocols, part).__annotations__}
        if not name.startswith("_")
    }


def class_at(place: str) -> type:
    """The class of a part that is named by its place."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"horngate.pipelines.{module}"), name)


def ancestors(place: str) -> list[type]:
    """The classes that a part, named by its place, derives from."""
    return [base for base in class_at(place).__mro__[1:] if base is not object]


def test_no_imports_go_round_in_a_circle_hidden_ones_counted():
    assert not circles(), "these import each other"


def test_light_rooms_import_nothing_heavy():
    light = [name for name in modules() if name.startswith(("horngate.pipelines.spec", "horngate.cli"))]
    light += [f"horngate.pipelines.{domain}" for domain in domains()]
    light += [f"horngate.pipelines.{domain}.{task}" for domain, task in TASKS]
    code = f"""
import sys
from importlib import import_module
for name in {[name for name in light if not name.endswith("__main__")]!r}:
    import_module(name)
    heavy = [other for other in {HEAVY!r} if other in sys.modules]
    assert not heavy, f"{{name}} imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_domains_do_not_import_each_other():
    for domain in domains():
        others = tuple(f"horngate.pipelines.{other}" for other in domains() if other != domain)
        for name, path in modules().items():
            if name.startswith(f"horngate.pipelines.{domain}"):
                foreign = [other for other in imported(path) if other.startswith(others)]
                assert not foreign, f"{name} imports {foreign}"


@pytest.mark.parametrize(("domain", "task"), TASKS, ids=[" ".join(names) for names in TASKS])
def test_every_kept_file_is_in_the_fingerprint_of_its_run(domain, task, tiny_runs):
    run = tiny_runs(domain, task)
    kept = {path.name for path in run.folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    assert kept - RECORDS == set(run.summary["files"])


def test_every_file_of_a_fingerprint_changes_it(tiny_runs, tmp_path):
    import shutil

    from horngate.pipelines.runs.run import Run

    run = tiny_runs("nlp", "classify")
    assert {"model.keras", "schema.json", "labels.json", "tokenizer.json"} == set(run.summary["files"])
    for name in run.summary["files"]:
        copy = Run(shutil.copytree(run.folder, tmp_path / name))
        assert copy.fingerprint == run.fingerprint
        with (copy / name).open("ab") as file:
            file.write(b" ")
        assert copy.fingerprint != run.fingerprint, name


def test_no_room_holds_more_files_than_one_can_know():
    rooms = Counter(path.parent for path in modules().values())
    full = {str(room.relative_to(ROOT)): count for room, count in rooms.items() if count > MOST_FILES}
    assert not full
    loose = [path.name for path in (ROOT / "pipelines").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= 1, loose


def test_few_imports_hide_in_functions():
    hidden = [(name, names) for name, path in modules().items() for names, within in imports_of(path) if within]
    own = [f"{name}: {', '.join(names)}" for name, names in hidden if any(n.startswith("horngate") for n in names)]
    assert len(own) <= MOST_OWN_IMPORTS, "\n".join(own)
    assert len(hidden) <= MOST_IMPORTS, "\n".join(f"{name}: {', '.join(names)}" for name, names in hidden)


def test_few_files_are_too_short_to_be_worth_one():
    assert len(short_files()) <= MOST_SHORT, short_files()


def test_a_task_author_has_few_members_to_know():
    assert len(members()) <= MOST_MEMBERS, sorted(members())
    own = [name for name in vars(Data) if not name.startswith("_") and name not in Data.__dataclass_fields__]
    assert len(own) <= 8, own


@pytest.mark.parametrize(("domain", "task"), TASKS, ids=[" ".join(names) for names in TASKS])
def test_a_task_is_assembled_of_parts_and_never_subclassed(domain, task):
    named = import_module(f"horngate.pipelines.{domain}.{task}").PARTS
    for part, protocol in PARTS.items():
        place = getattr(named, part)
        if place is None:
            assert part == "exporter" and named.unexportable
            continue
        assert len(ancestors(place)) <= MOST_ANCESTORS, f"{place}: {ancestors(place)}"
        cls = class_at(place)
        wanted = {name for name in vars(getattr(protocols, protocol)) if not name.startswith("_")}
        if part == "reader" and not issubclass(class_at(named.rows), ListedRows):
            wanted.discard("inspect")  # rows that are no inputs one by one, such as logs, are looked at whole
        lacking = sorted(name for name in wanted if not hasattr(cls, name))
        assert not lacking, f"{place} lacks {lacking}"
