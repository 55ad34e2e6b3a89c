"""The frame of a page: self-contained HTML, of an evaluation or of whatever extends the same frame."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from horngate.pipelines.report import cells
from horngate.pipelines.report.bars import interval_bar

HERE = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """Return a page as one HTML text that asks for nothing from elsewhere; every value is escaped.

    Args:
        template: a file of this folder that extends `frame.html.j2` and takes its parts from `parts.html.j2`.
        values: what the template shows. `sections` (name → title) becomes the links at the top; Markup stays as it is.
    """
    script = (HERE / "script.js").read_text("utf-8")
    mark = b64encode(sha256(script.encode()).digest()).decode()
    frame = {
        "style": Markup((HERE / "style.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": Markup(f"'sha256-{mark}'"),
        "version": _version(),
        "sections": {},
    }
    return _environment().get_template(template).render(frame | values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "shown": cells.shown,
        "kind": cells.kind,
        "sort_value": cells.sort_value,
        "are_numbers": cells.are_numbers,
        "can_sort": cells.can_sort,
        "size": cells.size,
        "seconds": cells.seconds,
        "row_of": lambda row, *names: [row.get(name) for name in names],
    }
    made.globals["interval_bar"] = interval_bar
    return made


def _version() -> str:
    try:
        return version("horngate")
    except PackageNotFoundError:
        return ""
