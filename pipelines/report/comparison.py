"""The page of a comparison: differences around zero, slices that moved, and the rows that flipped."""

import shlex
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from horngate.pipelines.report.bars import interval_bar
from horngate.pipelines.report.cells import number
from horngate.pipelines.report.page import render
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.report.sections import spaced

TITLES = {"differences": "Differences", "pairs": "All pairs", "slices": "Slices", "flipped": "Rows that flipped"}
KINDS = {
    "gained": "wrong in {0}, right in {1}",
    "lost": "right in {0}, wrong in {1}",
    "apart": "answers farthest apart",
}
ScanPreprocessing = Callable[[list[dict[str, Any]]], list[Shown]]


def page_of(found: dict[str, Any], look: ScanPreprocessing) -> str:
    """Return the page of a comparison as HTML.

    Args:
        found: what `compare` returns.
        look: takes rows with `id`, `target` and the first run's answer and returns them as people look at them, or an
            empty list where they can't be had.
    """
    letters = {run["name"]: run["letter"] for run in found["runs"]}
    parts = [_part(part, letters, look) for part in found["comparisons"]]
    there = {
        "differences": True,
        "pairs": bool(found["pairs"]),
        "slices": any(part["slices"] for part in parts),
        "flipped": any(part["flipped"] for part in parts),
    }
    words = ["horngate", "compare", *(run["folder"] for run in found["runs"]), "--split", found["split"]]
    return render(
        "compare.html.j2",
        sections={name: title for name, title in TITLES.items() if there[name]} | {"repeat": "Repeat it"},
        found=found,
        names=list(letters),
        headline=next(iter(found["comparisons"][0]["metrics"].items())),
        parts=parts,
        pairs=_pairs(found["pairs"], letters),
        rows_of_runs=[
            [run["letter"], run["folder"], run["method"], found["rows"]["only"][run["name"]]] for run in found["runs"]
        ],
        repeat=shlex.join(words),
    )


def _part(part: dict[str, Any], letters: dict[str, str], look: ScanPreprocessing) -> dict[str, Any]:
    """Return one comparison as rows of tables and flipped rows with their pictures."""
    first, second = letters[part["a"]], letters[part["b"]]
    reach: dict[str, float] = {}
    for score in part["metrics"].values():
        reach[score["unit"]] = max(reach.get(score["unit"], 0.0), _reach([score]))
    metrics = [
        [
            spaced(name),
            score["a"],
            score["b"],
            *_difference(score, reach[score["unit"]]),
            _verdict(score, letters),
        ]
        for name, score in part["metrics"].items()
    ]
    farthest = _reach(part["slices"])
    slices = [
        [f"{one['column']}: {one['value']}", one["rows"], one["a"], one["b"], *_difference(one, farthest)]
        for one in part["slices"]
    ]
    flipped = [
        {"title": KINDS[kind].format(first, second), "rows": rows["rows"], "items": _items(rows["shown"], look)}
        for kind, rows in part["flipped"].items()
        if rows["shown"]
    ]
    moved = sum(one["moved"] for one in part["slices"])
    exact = _chance(part["mcnemar"]["p_value"]) if part["mcnemar"] else "–"
    sides = {"exact": exact, "first": first, "second": second, "moved": moved}
    return part | sides | {"rows": metrics, "slices": slices, "flipped": flipped}


def _pairs(pairs: list[dict[str, Any]], letters: dict[str, str]) -> list[list[Any]]:
    reach = _reach(pairs)
    found = []
    for pair in pairs:
        first, second = (letters[name] for name in pair["runs"])
        found.append([f"{second} − {first}", *_difference(pair, reach), _verdict(pair, letters)])
    return found


def _verdict(score: dict[str, Any], letters: dict[str, str]) -> str:
    if score["better"] is not None:
        return _whole(f"{letters[score['better']]} is better")
    return _whole("no difference") if score["p_adjusted"] is not None else score["verdict"]


def _reach(scores: list[dict[str, Any]]) -> float:
    """Return how far from zero an axis must go for all these differences."""
    ends = [abs(score[name]) for score in scores for name in ("difference", "low", "high") if score[name] is not None]
    return max(ends, default=0.0) * 1.05 or 1.0


def _difference(score: dict[str, Any], reach: float) -> list[Any]:
    """Return the cells of a difference: value, interval, bar around zero, p-value."""
    bar = interval_bar(score | {"value": score["difference"], "baseline": 0.0}, (-reach, reach))
    if score["low"] is None:
        return [_signed(score["difference"]), "–", bar, "–"]
    chance = _chance(score["p_adjusted"])
    return [
        _whole(_signed(score["difference"])),
        _whole(f"{_signed(score['low'])} – {_signed(score['high'])}"),
        bar,
        _whole(chance),
    ]


def _whole(text: str) -> Markup:
    """Return a cell that is never broken into lines."""
    return Markup('<span class="whole">{}</span>').format(text)


def _chance(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else number(p_value)


def _signed(value: float | None) -> str:
    return number(value, signed=True)


def _items(rows: list[dict[str, Any]], look: ScanPreprocessing) -> list[dict[str, Any]]:
    seen = look([{"id": row["id"], "target": row["target"]} | row["a"] for row in rows]) or [Shown()] * len(rows)
    return [
        {
            "id": row["id"],
            "target": row["target"],
            "picture": _uri(part.picture),
            "text": part.text,
            "marks": part.marks,
        }
        | {side: ", ".join(_word(value) for value in row[side].values()) for side in "ab"}
        for row, part in zip(rows, seen, strict=True)
    ]


def _word(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _uri(picture: bytes | None) -> str | None:
    return None if picture is None else f"data:image/jpeg;base64,{b64encode(picture).decode()}"
