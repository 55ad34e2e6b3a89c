"""The sections of an evaluation's page, as values for its template."""

import csv
import re
from collections import defaultdict
from typing import Any

from markupsafe import Markup

from horngate.pipelines.report.bars import axis_of, interval_bar
from horngate.pipelines.report.cells import interval, number, seconds, size
from horngate.pipelines.runs.run import Run

NAMED = 5  # ids per reason of quarantine
MOST_SLICES, MOST_CLASSES = 200, 1000


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """Return the first metric in words and all of them as rows of a table with bars."""
    rivals = list(report["references"])
    rows = []
    for name, score in report["metrics"].items():
        beside = [report["references"][rival].get(name) or {} for rival in rivals]
        axis = axis_of([score, *beside], score["unit"])
        bar = interval_bar(score, axis, tuple(part.get("value") for part in beside))
        span = interval(score["low"], score["high"]) if score["low"] is not None else score.get("reason", "–")
        values = [part.get("value") for part in beside]
        rows.append([measure(name, score), score["value"], span, bar, score["baseline"], *values])
    name, score = next(iter(report["metrics"].items()))
    columns = ["measure", "value", "95 % interval", "", "trivial guess", *(spaced(rival) for rival in rivals)]
    return {
        "name": spaced(name),
        "score": score,
        "columns": columns,
        "rows": rows,
        "rivals": {spaced(rival): report["references"][rival].get(name) for rival in rivals},
    }


def measure(name: str, score: dict[str, Any]) -> Markup:
    """Return a measure's name with its unit and direction where they are not the usual ones."""
    notes = [] if score["unit"] in ("share", "") else [score["unit"]]
    notes += [] if score["higher_is_better"] else ["lower is better"]
    return Markup("{} <small>{}</small>").format(spaced(name), ", ".join(notes))


def spaced(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ")


def data(report: dict[str, Any], run: Run, summary: dict[str, Any], source: str) -> dict[str, Any]:
    """Return what the data was, how it was split, and what was set aside and why."""
    notes = [str(note) for note in report["protocol"].get("split") or []]
    facts = [("Learnt from", run.card.data), ("Evaluated on", f"{report['split']}: {report['rows']:,} rows")]
    if source and source != run.card.data:
        facts[1] = ("Evaluated on", f"{source}: {report['rows']:,} rows")
    if report["groups"]:
        facts.append((f"{run.card.rows.unit.capitalize()}s", report["groups"]))
    rows = summary.get("rows", {})
    counts = [f"{rows[name]:,} {name}" for name in ("train", "validation", "test") if rows.get(name)]
    facts.append(("Rows", ", ".join(counts)))
    rule = spaced(str(report["protocol"].get("split_rule", "")))
    drawn = any(note.startswith(("drawn", "cut", "the latest")) for note in notes)
    facts.append(("Split", "; ".join([rule, *notes] if drawn or not notes else notes)))
    if protocol := report["protocol"].get("protocol"):
        facts.append(("Protocol", _protocol(protocol, report["protocol"])))
    if report["quarantined"]:
        facts.append(("Left out here", f"{report['quarantined']:,} rows that couldn't be read"))
    return {"facts": facts, "quarantine": _quarantine(run), "quarantined": rows.get("quarantined", 0)}


def _protocol(name: str, facts: dict[str, Any]) -> str:
    """Return which rows a detector learnt from, in words."""
    said = f"{name}: {facts.get('learnt_rows', 0):,} training rows were learnt from"
    if facts.get("left_out_anomalies"):
        said += f", {facts['left_out_anomalies']:,} known anomalies left out"
    if facts.get("learnt_anomalies"):
        said += f", {facts['learnt_anomalies']:,} known anomalies as such"
    return said


def _quarantine(run: Run) -> list[list[Any]]:
    """Return reason, count and some ids, most frequent first; what a reason says of one row alone is cut off."""
    counts, named = defaultdict(int), defaultdict(list)
    try:
        with (run / "quarantine.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                reason = re.split(r"[:(]", row["reason"])[0].strip()
                counts[reason] += 1
                if len(named[reason]) < NAMED:
                    named[reason].append(row["id"])
    except OSError:
        return []
    found = sorted(counts, key=counts.get, reverse=True)
    return [[name, counts[name], ", ".join(named[name]) + (" …" if counts[name] > NAMED else "")] for name in found]


def classes(details: dict[str, Any]) -> list[list[Any]]:
    """Return rows of a table of the classes, worst first: rows, precision, recall, F1, and what each is taken for."""
    labels, confusion = details.get("labels"), details.get("confusion")
    found = []
    order = sorted(enumerate(details.get("per_class") or []), key=lambda pair: (pair[1]["f1"] or 0.0, pair[0]))
    for place, row in order[:MOST_CLASSES]:
        cells = [row["label"], row["rows"], row["precision"], row["recall"], row["f1"]]
        if confusion:
            wrong = {other: count for other, count in enumerate(confusion[place]) if other != place and count}
            most = sorted(wrong, key=wrong.get, reverse=True)[:2]
            cells.append(", ".join(f"{labels[other]} ({wrong[other]:,})" for other in most))
        found.append(cells)
    return found


def slices(report: dict[str, Any]) -> dict[str, Any]:
    """Return the slices by the headline measure, worst first, with the gap to the whole, and the worst of each column."""
    name, whole = next(iter(report["metrics"].items()))
    sign = 1 if whole["higher_is_better"] else -1
    known = [part for part in report["slices"] if part["metrics"][name]["value"] is not None]
    if not known or whole["value"] is None:
        return {}
    known.sort(key=lambda part: sign * part["metrics"][name]["value"])
    ends = [part["metrics"][name] | {"baseline": None} for part in known]
    axis = axis_of([whole | {"baseline": None}, *ends], whole["unit"], near=True)
    rows = []
    for part in known[:MOST_SLICES]:
        score = part["metrics"][name]
        gap = score["value"] - whole["value"]
        bar = interval_bar(score | {"baseline": None}, axis, (whole["value"],))
        span = interval(score["low"], score["high"])
        rows.append([part["column"], part["value"], part["rows"], score["value"], span, bar, gap])
    worst = {}
    for part in known:
        worst.setdefault(part["column"], _worst(part, part["metrics"][name], whole, sign))
    columns = ["column", "value", "rows", spaced(name), "95 % interval", "", "gap to the whole"]
    return {"columns": columns, "rows": rows, "worst": list(worst.values()), "more": len(known) - len(rows)}


def _worst(part: dict[str, Any], score: dict[str, Any], whole: dict[str, Any], sign: int) -> dict[str, Any]:
    near = score["high"] if sign > 0 else score["low"]
    sure = near is not None and sign * (near - whole["value"]) < 0
    gap = abs(score["value"] - whole["value"])
    return part | {"score": number(score["value"]), "gap": number(gap), "sure": sure}


def leaks(report: dict[str, Any]) -> dict[str, Any]:
    """Return rows that show the same as training rows, and the scores without them."""
    count = report["protocol"].get("leaking_rows")
    if not count:
        return {}
    without = report["protocol"].get("without_leaks") or {}
    rows = [
        [spaced(name), score["value"], without[name]["value"], interval(without[name]["low"], without[name]["high"])]
        for name, score in report["metrics"].items()
        if name in without
    ]
    return {"count": count, "share": count / report["rows"], "rows": rows, "pairs": report["details"].get("leaks", [])}


def cost(summary: dict[str, Any], protocol: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what the training cost."""
    facts = [(f"Learning: {name}", seconds(value)) for name, value in summary.get("costs_seconds", {}).items()]
    if "seconds" in summary:
        facts.append(("Whole training", seconds(summary["seconds"])))
    if summary.get("device"):
        facts.append(("Device", summary["device"]))
    if "peak_memory_bytes" in summary:
        facts.append(("Peak memory", size(summary["peak_memory_bytes"])))
    if summary.get("parameters"):
        facts.append(("Parameters", summary["parameters"]))
    if runtime := protocol.get("runtime"):
        facts.append(("Runtime", _runtime(runtime)))
    return facts


def _runtime(verdict: dict[str, Any]) -> str:
    if verdict["name"] == "tensorflow":
        return "TensorFlow" + (f" ({verdict['why']})" if verdict.get("why") else "")
    said = [f"{verdict['speedup']:.1f} × as fast as TensorFlow"] if "speedup" in verdict else []
    said += [f"outputs within {verdict['max_abs_difference']:.0e}"] if "max_abs_difference" in verdict else []
    return f"{verdict['name']}: {', '.join(said)}" if said else verdict["name"]
