"""The sample `names`: sentences with the names of Python in them as spans."""

import builtins
import json
import re

import pyarrow as pa

from horngate.pipelines.data.samples.docstrings import documented
from horngate.pipelines.data.sources.blocks import block


def table() -> pa.Table:
    """Return the first sentence of each function's docstring with the names of Python in it as spans.

    A word is a `parameter` where the documented function has one of that name, of three letters or more, an `exception` or
    a `type` where Python's builtins have such a class, and a `constant` if it is None, True or False. Words count wherever
    they stand: "name" in the docstring of a function with a parameter `name` always is one.
    """
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    builtin = _builtin_names()
    for _, place, sentences, parameters in documented():
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
    classes = {name: found for name, found in vars(builtins).items() if isinstance(found, type)}
    kinds = {name: "exception" if issubclass(found, BaseException) else "type" for name, found in classes.items()}
    return kinds | dict.fromkeys(("None", "True", "False"), "constant")
