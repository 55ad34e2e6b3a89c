"""Samples: small real data that needs no network, for `sample:NAME`."""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO

import pyarrow as pa

from horngate.pipelines.data.samples.pumps import pumps
from horngate.pipelines.data.sources.loader import block
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError, nearest


def sample(name: str, card: Data | None = None, labelled: bool = True) -> Iterator[pa.Table]:
    """Yield the blocks of a sample; one of series needs the card, which says how long an input is.

    Raises:
        UserError: no such sample.
    """
    if name in SERIES:
        yield from _series(SERIES[name](), name, card, labelled)
        return
    if name not in SAMPLES:
        raise UserError(
            f'no sample "{name}".{nearest(name, (*SAMPLES, *SERIES))} Known: {", ".join((*SAMPLES, *SERIES))}'
        )
    yield _made(name)


@lru_cache(maxsize=2)
def _made(name: str) -> pa.Table:
    """Return a sample, made once: a verb reads its inputs more than once."""
    return SAMPLES[name]()


def _digits() -> pa.Table:
    """Return the 1,797 handwritten digits that ship with scikit-learn (UCI, Alpaydin & Kaynak 1998), 8 × 8, 17 greys."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = [_png((image * 15.9375).astype("uint8")) for image in digits.images]
    targets = [str(target) for target in digits.target]
    names = [f"digit-{place:04d}" for place in range(len(targets))]
    return block({"id": names, "value": pictures, "target": targets})


def _docstrings() -> pa.Table:
    """Return sentences of the docstrings of Python's own library, labelled by the subject of their module.

    Every Python brings them along; their number differs a little between versions. Sentences of one function are a group.
    """
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    for subject, place, sentences, _ in _documented():
        for number, sentence in enumerate(sentences, 1):
            columns["id"].append(f"{place}#{number}")
            columns["value"].append(sentence.encode())
            columns["target"].append(subject)
            columns["group"].append(place)
    return block(columns)


def _sentence_pairs() -> pa.Table:
    """Return the first two sentences of each docstring of `_docstrings` that has two: pairs without scores."""
    import json

    found = [(place, sentences) for _, place, sentences, _ in _documented() if len(sentences) > 1]
    values = [json.dumps(sentences[:2]).encode() for _, sentences in found]
    return block({"id": [place for place, _ in found], "value": values})


def _names() -> pa.Table:
    """Return the first sentence of each function's docstring with the names of Python in it as spans.

    A word is a `parameter` where the documented function has one of that name, of three letters or more, an `exception` or
    a `type` where Python's builtins have such a class, and a `constant` if it is None, True or False. Words count wherever
    they stand: "name" in the docstring of a function with a parameter `name` always is one.
    """
    import json
    import re

    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    builtin = _builtin_names()
    for _, place, sentences, parameters in _documented():
        if not parameters or not sentences:
            continue
        known = {name: "parameter" for name in parameters if len(name) > 2} | builtin
        words = [(word.span(), known.get(word[0])) for word in re.finditer(r"\w+", sentences[0])]
        spans = [{"start": start, "end": end, "label": label} for (start, end), label in words if label]
        columns["id"].append(place)
        columns["value"].append(sentences[0].encode())
        columns["target"].append(json.dumps(spans))
        columns["group"].append(place)
    return block(columns)


def _builtin_names() -> dict[str, str]:
    import builtins

    classes = {name: found for name, found in vars(builtins).items() if isinstance(found, type)}
    kinds = {name: "exception" if issubclass(found, BaseException) else "type" for name, found in classes.items()}
    return kinds | dict.fromkeys(("None", "True", "False"), "constant")


def _documented() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield subject, place and up to 8 sentences of each docstring, and the parameters of its function."""
    import ast
    import re
    import sysconfig
    from pathlib import Path

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


def _definitions(module) -> Iterator:
    """Yield a module and its classes and functions, outer ones first, as `ast.walk` does without its expressions."""
    import ast

    nodes = deque([module])
    while nodes:
        node = nodes.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield node
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, part, None)
            nodes.extend(inner if isinstance(inner, list) else ())


def _breast_cancer() -> pa.Table:
    """Return the 569 tumours that ship with scikit-learn (UCI, Wolberg et al. 1995): 30 numbers, benign or malignant."""
    import json

    from sklearn.datasets import load_breast_cancer

    tumours = load_breast_cancer()
    names = [name.replace(" ", "_") for name in tumours.feature_names.tolist()]
    values = [json.dumps(dict(zip(names, row, strict=True))).encode() for row in tumours.data.tolist()]
    targets = [str(tumours.target_names[target]) for target in tumours.target]
    return block({"id": [f"tumour-{place:03d}" for place in range(len(values))], "value": values, "target": targets})


def _series(files: dict[str, list[dict]], name: str, card: Data | None, labelled: bool) -> Iterator[pa.Table]:
    from pathlib import Path

    from horngate.pipelines.data.sources.tables import blocks_of

    if card is None or card.rows.input != "window":
        raise UserError(f"sample:{name} holds series, which this task can't read")
    for file, rows in files.items():
        numbered = [(number, cells, None) for number, cells in enumerate(rows, 1)]
        yield from blocks_of(iter([(list(rows[0]), numbered)]), Path(f"sample:{name}"), card, labelled, file)


def _png(pixels) -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


SUBJECTS = {
    "concurrency": ("asyncio", "concurrent/futures", "multiprocessing", "queue", "sched", "threading"),
    "files": ("fileinput", "glob", "pathlib", "shutil", "tarfile", "tempfile", "zipfile", "gzip", "lzma", "os"),
    "mathematics": ("_pydecimal", "decimal", "fractions", "numbers", "random", "statistics"),
    "network": ("ftplib", "http", "imaplib", "ipaddress", "poplib", "smtplib", "socket", "ssl", "urllib", "xmlrpc"),
    "text": ("argparse", "difflib", "email", "gettext", "html", "json", "locale", "re", "string", "textwrap", "csv"),
}


def _few(whole: pa.Table, step: int) -> pa.Table:
    """Return every so-manieth row, for a first try."""
    return whole.take(list(range(0, whole.num_rows, step)))


def _textures() -> pa.Table:
    from horngate.pipelines.data.samples.textures import textures

    return textures()


def _lesions() -> pa.Table:
    from horngate.pipelines.data.samples.lesions import lesions

    return lesions()


def _spoken_phrases() -> pa.Table:
    from horngate.pipelines.data.samples.spoken_phrases import spoken_phrases

    return spoken_phrases()


def _spoken_words() -> pa.Table:
    from horngate.pipelines.data.samples.spoken_words import spoken_words

    return spoken_words()


def _made_up(name: str) -> pa.Table:
    from horngate.pipelines.data.samples import events

    return getattr(events, name)()


SAMPLES = {"digits": _digits, "docstrings": _docstrings, "docstrings-few": lambda: _few(_docstrings(), 8)}
SAMPLES |= {"sentence-pairs": _sentence_pairs, "names": _names, "names-few": lambda: _few(_names(), 5)}
SAMPLES |= {"breast-cancer": _breast_cancer, "textures": _textures, "lesions": _lesions}
SAMPLES |= {"spoken-words": _spoken_words, "spoken-phrases": _spoken_phrases}
SAMPLES |= {"made-up-clicks": lambda: _made_up("clicks"), "made-up-ratings": lambda: _made_up("ratings")}
SERIES = {"made-up-pumps": pumps}
