"""What `check --against RUN` shows: how new rows differ from those that a run learnt from."""

from dataclasses import replace
from typing import Any

from horngate.cli.output import table
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data, changed

MOST = 20  # labels shown, those that moved most


def of_run(run: str, flags: dict[str, Any]) -> Data:
    """Return the knobs by which new data is read: those of the run, then what the user gave."""

    return changed(replace(Run.open(run).card, splits=None), flags, "flags")


def drift_tables(drift: dict[str, Any]) -> list:
    """Return the tables of a comparison: features and inputs, then labels."""
    if drift["alarm"] is None:
        return []
    nothing = {"value": None, "against": None}
    rows = [_row(part["name"], part, "effect") for part in drift["inputs"]]
    if drift["features"]:
        rows.insert(0, _row("features", drift["features"] | nothing, "distance"))
    if drift["labels_moved"]:
        rows.append(_row("label shares", drift["labels_moved"] | nothing, "distance"))
    title = f"{drift['rows']:,} rows against {drift['against']:,} training rows of {drift['run']}"
    made = [table(title, ["what", "now", "training", "effect", "p", ""], rows)]
    moved = sorted(drift["labels"], key=lambda part: -abs(part["share"] - part["against"]))[:MOST]
    if moved:
        shares = [[part["label"], f"{part['share']:.1%}", f"{part['against']:.1%}"] for part in moved]
        made.append(table("labels, those that moved most first", ["label", "now", "training"], shares))
    return made


def _row(name: str, part: dict[str, Any], effect: str) -> list[str]:
    values = ["" if part[side] is None else f"{part[side]:.4g}" for side in ("value", "against")]
    return [name, *values, f"{part[effect]:.3f}", f"{part['p_value']:.3f}", "alarm" if part["alarm"] else ""]
