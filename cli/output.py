"""Results on stdout: plain lines, JSON, and tables for people. rich is imported when first needed."""

import json
import sys
from typing import Any


def say(text: str) -> None:
    """Write one result line to stdout, whatever libraries did to `sys.stdout`."""
    sys.__stdout__.write(f"{text}\n")
    sys.__stdout__.flush()


def say_json(value: Any) -> None:
    """Write a result as JSON to stdout."""
    say(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=lambda left: left.tolist()))


def show(*tables: Any) -> None:
    """Print rich tables to stdout."""
    from rich.console import Console

    console = Console(file=sys.__stdout__, width=None if sys.__stdout__.isatty() else 120)
    for table in tables:
        console.print(table)


def table(title: str, columns: list[str], rows: list[list[str]]):
    """Return a rich table; texts from users' data are shown as they are, never as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for place, name in enumerate(columns):
        numeric = place > 0 and all(row[place][:1] in "0123456789-+.–" for row in rows if row[place])
        made.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def report_tables(report: dict[str, Any]) -> list:
    """Return a report as tables: scores, references, the worst slice of each column."""
    rows = [
        [name, _number(score["value"]), _interval(score), _number(score["baseline"]), _bar(score)]
        for name, score in report["metrics"].items()
    ]
    groups = f" in {report['groups']:,} groups" if report["groups"] else ""
    title = f"{report['domain']} {report['task']} · {report['split']} · {report['rows']:,} rows{groups}"
    made = [table(title, ["metric", "value", "95 % interval", "baseline", "0 … 1"], rows)]
    if report["references"]:
        made.append(_references(report))
    if report["slices"]:
        made.append(_worst_slices(report))
    if report["details"].get("per_class"):
        made.append(_per_class(report["details"]))
    return made


def findings_table(seen: dict[str, Any]):
    """Return what `check` found as a table."""
    rows = [[finding["grade"], finding["message"], f"{finding['rows']:,}"] for finding in seen["findings"]]
    title = f"{seen['data']}: {seen['listed']:,} rows listed, {seen['usable']:,} usable"
    return table(title, ["grade", "finding", "rows"], rows or [["", "nothing to complain about", ""]])


def _references(report: dict[str, Any]):
    headline = next(iter(report["metrics"]))
    rows = []
    for name, scores in report["references"].items():
        score = scores.get(headline)
        if score:
            rows.append([name, _number(score["value"]), _interval(score)])
    return table("references on the same rows", ["reference", headline, "95 % interval"], rows)


def _worst_slices(report: dict[str, Any]):
    headline, score = next(iter(report["metrics"].items()))
    sign = 1 if score["higher_is_better"] else -1
    rows = []
    for column in dict.fromkeys(part["column"] for part in report["slices"]):
        parts = [part for part in report["slices"] if part["column"] == column]
        parts = [part for part in parts if part["metrics"][headline]["value"] is not None]
        if parts:
            worst = min(parts, key=lambda part: sign * part["metrics"][headline]["value"])
            found = worst["metrics"][headline]
            rows.append([column, worst["value"], f"{worst['rows']:,}", _number(found["value"]), _interval(found)])
    return table("worst slice of each column", ["column", "value", "rows", headline, "95 % interval"], rows)


def _per_class(details: dict[str, Any]):
    """Return a table of the classes, the worst by F1 first, at most 20; with what each is most often taken for."""
    labels, confusion = details["labels"], details.get("confusion")
    rows = []
    for place, row in sorted(enumerate(details["per_class"]), key=lambda pair: (pair[1]["f1"] or 0.0, pair[0]))[:20]:
        taken = ""
        if confusion:
            wrong = {other: count for other, count in enumerate(confusion[place]) if other != place and count}
            taken = ", ".join(f"{labels[other]} ({wrong[other]})" for other in sorted(wrong, key=wrong.get)[:-3:-1])
        numbers = [_number(row[name]) for name in ("precision", "recall", "f1")]
        rows.append([row["label"], f"{row['rows']:,}", *numbers, taken])
    return table("classes, worst first", ["class", "rows", "precision", "recall", "f1", "most often taken for"], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(score: dict[str, Any]) -> str:
    if score.get("low") is None:
        return score.get("reason") or "–"
    return f"{score['low']:.4f} – {score['high']:.4f}"


def _bar(score: dict[str, Any], width: int = 30) -> str:
    """Return the interval as a bar: between 0 and 1 for shares, else between ends that stand behind it."""
    if score.get("low") is None:
        return ""
    first, last, ends = 0.0, 1.0, ""
    if score["unit"] != "share" or score["low"] < 0 or score["high"] > 1:
        known = [score[name] for name in ("low", "high", "baseline") if score[name] is not None]
        first, last = min(0.0, *known), max(0.0, *known)
        if first == last:
            return ""
        ends = f" {first:.3g} … {last:.3g}"
    scale = width / (last - first)
    low, value, high = (min(int((score[name] - first) * scale), width - 1) for name in ("low", "value", "high"))
    bar = "".join("●" if place == value else "─" if low <= place <= high else "·" for place in range(width))
    return bar + ends
