"""`horngate compare` and its tables."""

from typing import Any

import click

from horngate import pipelines
from horngate.cli.output import say_json, show, table
from horngate.cli.telling import speech_options, wake

ROWS = 10  # of flipped rows of each kind, and of slices; the JSON holds more


@click.command("compare", no_args_is_help=True)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option(
    "--split",
    default="test",
    show_default=True,
    metavar="NAME",
    help="Which rows: test, validation, or the name of an evaluation of other data.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Slice by this column.  [default: the target and kept columns, of 2 to 20 values]",
)
@click.option("-o", "--output", metavar="DIR", help="Write compare.json and compare.html there.  [default: none are]")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(runs: tuple[str, ...], split: str, by: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Say which run is better on the same rows, by how much and how surely.

    Every RUN is held against the first. The stored answers are read; nothing is predicted anew.
    """
    wake(tensorflow=False)
    found = pipelines.compare(*runs, split=split, by=by or None, output=output)
    if as_json:
        say_json(found)
    else:
        show(*_tables(found))


compare.params += speech_options()


def _tables(found: dict[str, Any]) -> list:
    letters = {run["name"]: run["letter"] for run in found["runs"]}
    made = [_runs(found), _metrics(found, letters)]
    if found["pairs"]:
        made.append(_pairs(found["pairs"], letters))
    for part in found["comparisons"]:
        made += _of_one(part, letters)
    return made


def _runs(found: dict[str, Any]):
    counts = found["rows"]
    groups = f" in {counts['groups']:,} groups" if counts["groups"] else ""
    title = f"{found['domain']} {found['task']} · {found['split']} · {counts['shared']:,} shared rows{groups}"
    for name, said in (("in_error", "unreadable"), ("learnt", "learnt from")):
        title += f", {counts[name]:,} {said} and left out" if counts[name] else ""
    title = "\n".join([title, *found["notes"]])
    rows = [
        [run["letter"], run["folder"], run["method"] or "–", f"{counts['only'][run['name']]:,}"]
        for run in found["runs"]
    ]
    return table(title, ["", "run", "method", "rows that another lacks"], rows)


def _metrics(found: dict[str, Any], letters: dict[str, str]):
    rows = []
    for part in found["comparisons"]:
        first, second = letters[part["a"]], letters[part["b"]]
        for name, score in part["metrics"].items():
            rows.append([f"{second} − {first}", name, *_cells(score), _verdict(score, letters)])
    columns = ["", "metric", "first", "second", "difference", "95 % interval", "p, adjusted", "verdict"]
    return table(f"differences · {found['protocol']['interval']}", columns, rows)


def _pairs(pairs: list[dict[str, Any]], letters: dict[str, str]):
    rows = []
    for pair in pairs:
        first, second = (letters[name] for name in pair["runs"])
        rows.append([f"{second} − {first}", *_cells(pair), _verdict(pair, letters)])
    columns = ["", "first", "second", "difference", "95 % interval", "p", "verdict"]
    return table(f"all pairs · {pairs[0]['metric']}", columns, rows)


def _of_one(part: dict[str, Any], letters: dict[str, str]) -> list:
    """Return the tables of one comparison: right and wrong, slices, flipped rows."""
    first, second = letters[part["a"]], letters[part["b"]]
    made = []
    if counts := part["mcnemar"]:
        numbers = [f"{counts[name]:,}" for name in ("both_right", "only_a_right", "only_b_right", "both_wrong")]
        columns = ["both right", f"only {first} right", f"only {second} right", "both wrong", "p"]
        made.append(table(f"right and wrong · {counts['test']}", columns, [[*numbers, _chance(counts["p_value"])]]))
    if slices := part["slices"]:
        rows = [
            [one["column"], one["value"], f"{one['rows']:,}", *_cells(one), "moved" if one["moved"] else ""]
            for one in slices[:ROWS]
        ]
        columns = ["column", "value", "rows", first, second, f"{second} − {first}", "95 % interval", "p", ""]
        moved = sum(one["moved"] for one in slices)
        title = f"slices, the largest difference first · {slices[0]['metric']} · {moved} of {len(slices)} moved"
        made.append(table(title, columns, rows))
    titles = {
        "gained": f"{first} wrong, {second} right",
        "lost": f"{first} right, {second} wrong",
        "apart": "answers farthest apart",
    }
    for kind, rows in part["flipped"].items():
        if rows["shown"]:
            cells = [
                [row["id"], row["target"] or "–", _said(row["a"]), _said(row["b"])] for row in rows["shown"][:ROWS]
            ]
            title = f"{titles[kind]} · {rows['rows']:,} rows"
            made.append(table(title, ["id", "target", first, second], cells))
    return made


def _cells(score: dict[str, Any]) -> list[str]:
    span = "–" if score["low"] is None else f"{score['low']:+.4f} – {score['high']:+.4f}"
    difference = "–" if score["difference"] is None else f"{score['difference']:+.4f}"
    return [_number(score["a"]), _number(score["b"]), difference, span, _chance(score["p_adjusted"])]


def _verdict(score: dict[str, Any], letters: dict[str, str]) -> str:
    if score["better"] is not None:
        return f"{letters[score['better']]} is better"
    return "unknown" if score["p_adjusted"] is None else "no difference"


def _said(answer: dict[str, Any]) -> str:
    return ", ".join(f"{value:.4f}" if isinstance(value, float) else str(value) for value in answer.values())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _chance(p_value: float | None) -> str:
    return "–" if p_value is None else "< .001" if p_value < 0.001 else f"{p_value:.3f}"
