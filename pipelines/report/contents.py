"""The page of one evaluation: gathers what the report, the run and the task know, and renders it."""

import shlex
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.reading import rows_of
from horngate.pipelines.report.evaluation import Evaluation
from horngate.pipelines.report.figures import drawn, learning_curves
from horngate.pipelines.report.page import render
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.report.sections import classes, cost, data, headline, leaks, slices
from horngate.pipelines.runs.model_card import licence_of
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError

MISTAKES = 20  # shown
MOST_DRAWN = 100_000  # rows; curves of more are drawn from so many of them, so that a page of a million takes no longer

TITLES = {
    "scores": "Scores",
    "data": "Data",
    "learning": "Learning",
    "answers": "Answers",
    "calibration": "Calibration",
    "decisions": "Decisions",
    "slices": "Slices",
    "mistakes": "Surest mistakes",
    "borderline": "Positives near the threshold",
    "duplicates": "Near-duplicates across splits",
    "drift": "Drift",
    "cost": "Cost",
    "repeat": "Repeat it",
    "card": "Model card",
}


def page_of(evaluation: Evaluation) -> str:
    """Return the page of an evaluation as HTML."""
    report, display, run = evaluation.report.plain(), evaluation.task.display, evaluation.run
    plots = [drawn(plot) | {"section": plot.section} for plot in display.plots(_sample(evaluation), evaluation.report)]
    values = {
        "report": report,
        "headline": headline(report),
        "data": data(report, run, evaluation.summary, evaluation.source),
        "sampled": MOST_DRAWN if evaluation.report.rows > MOST_DRAWN else None,
        "learning": [drawn(plot) for plot in learning_curves(run / "history.csv")],
        "answers": [plot for plot in plots if plot["section"] == "answers"],
        "classes": classes(report["details"]),
        "calibration": [plot for plot in plots if plot["section"] == "calibration"],
        "decisions": {name: report["details"].get(name) for name in ("operating_point", "conformal", "thresholds")},
        "slices": slices(report),
        "mistakes": _looked_at(evaluation, "mistakes"),
        "borderline": _looked_at(evaluation, "borderline"),
        "duplicates": leaks(report),
        "drift": report["details"].get("drift"),
        "cost": cost(evaluation.summary, report["protocol"]),
        "repeat": _repeat(evaluation),
        "card": display.model_card() | licence_of(run.card),
    }
    there = {"scores", "repeat", *(name for name in TITLES if _filled(values.get(name)))}
    own = display.titles
    titles = TITLES | {"mistakes": own.mistakes}
    sections = {name: titles[name] for name in titles if name in there}
    said = {
        "unit": run.card.rows.unit,
        "caution": own.caution,
        "mistakes_said": own.mistakes_said,
        "heat_said": own.heat_said,
    }
    return render("report.html.j2", sections=sections, **said, **values)


def _filled(value: Any) -> bool:
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _sample(evaluation: Evaluation) -> pa.Table:
    """Return the readable answers, or an even draw of very many."""
    good = evaluation.answers.filter(pc.is_null(evaluation.answers["error"]))
    if good.num_rows <= MOST_DRAWN:
        return good
    places = np.random.default_rng(evaluation.task.card.seed).choice(good.num_rows, MOST_DRAWN, replace=False)
    return good.take(pa.array(np.sort(places)))


def _looked_at(evaluation: Evaluation, name: str) -> list[dict[str, Any]]:
    """Return a list of the report's details (such as the surest mistakes) as the task shows these rows; as texts alone

    where they can't be read any more.
    """
    chosen = evaluation.report.details.get(name, [])[:MISTAKES]
    if not chosen:
        return []
    try:
        shown = evaluation.task.display.rows(rows_of(evaluation.table, [row["id"] for row in chosen]), chosen)
    except UserError:
        shown = []
    shown = shown or [Shown()] * len(chosen)
    return [
        row
        | {name: _uri(getattr(part, name)) for name in ("picture", "heat", "mask", "sound")}
        | {"text": part.text, "marks": part.marks}
        for row, part in zip(chosen, shown, strict=True)
    ]


def _uri(file: bytes | None) -> str | None:
    """Return the bytes of a PNG, JPEG or WAV file as an address that needs no other file."""
    if file is None:
        return None
    kinds = {b"\x89PNG": "image/png", b"RIFF": "audio/wav"}
    return f"data:{kinds.get(file[:4], 'image/jpeg')};base64,{b64encode(file).decode()}"


def _repeat(evaluation: Evaluation) -> dict[str, str]:
    run = evaluation.run
    words = ["horngate", *task_name(run.card), "train", "-c", str(Path(run) / "recipe.yaml")]
    return {
        "train": shlex.join(words),
        "evaluate": shlex.join(evaluation.command or ["horngate", "evaluate", str(run.folder)]),
        "recipe": (run / "recipe.yaml").read_text("utf-8"),
    }
