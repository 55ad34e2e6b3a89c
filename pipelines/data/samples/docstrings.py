"""The sample `docstrings`: sentences of the docstrings of Python's own library."""

import ast
import re
import sysconfig
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import block

SUBJECTS = {
    "concurrency": ("asyncio", "concurrent/futures", "multiprocessing", "queue", "sched", "threading"),
    "files": ("fileinput", "glob", "pathlib", "shutil", "tarfile", "tempfile", "zipfile", "gzip", "lzma", "os"),
    "mathematics": ("_pydecimal", "decimal", "fractions", "numbers", "random", "statistics"),
    "network": ("ftplib", "http", "imaplib", "ipaddress", "poplib", "smtplib", "socket", "ssl", "urllib", "xmlrpc"),
    "text": ("argparse", "difflib", "email", "gettext", "html", "json", "locale", "re", "string", "textwrap", "csv"),
}


def table() -> pa.Table:
    """Return sentences of the docstrings of Python's own library, labelled by the subject of their module.

    Every Python brings them along; their number differs a little between versions. Sentences of one function are a group.
    """
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    for subject, place, sentences, _ in documented():
        for number, sentence in enumerate(sentences, 1):
            columns["id"].append(f"{place}#{number}")
            columns["value"].append(sentence.encode())
            columns["target"].append(subject)
            columns["group"].append(place)
    return block(columns)


def documented() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield subject, place and up to 8 sentences of each docstring, and the parameters of its function."""
    library = Path(sysconfig.get_path("stdlib"))
    for subject, modules in SUBJECTS.items():
        files = [path for name in modules for path in (library / f"{name}.py", *sorted((library / name).glob("*.py")))]
        for path in (path for path in files if path.is_file()):
            for node in _definitions(ast.parse(path.read_text("utf-8"))):
                place = f"{path.relative_to(library).as_posix()}:{getattr(node, 'lineno', 0)}"
                text = " ".join((ast.get_docstring(node) or "").split())
                sentences = [part for part in re.split(r"(?<=[.!?]) ", text) if 4 <= len(part.split()) <= 60]
                found = getattr(node, "args", None)
                every = [*found.posonlyargs, *found.args, *found.kwonlyargs] if found else []
                yield subject, place, sentences[:8], [one.arg for one in every]


def _definitions(module: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and its classes and functions, outer ones first, as `ast.walk` does without its expressions."""
    nodes = deque([module])
    while nodes:
        node = nodes.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield node
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, part, None)
            nodes.extend(inner if isinstance(inner, list) else ())
