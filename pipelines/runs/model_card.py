"""The model card of a bundle: what the model is for, what it was measured on, where it ends (Mitchell et al. 2019)."""

from pathlib import Path
from typing import Any

from horngate.models.backbones.licences import licence_of_weights
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.task import Task

NOTE = "ImageNet itself was gathered for non-commercial research and education; ask whether that matters to your use."


def model_card(run: Run, task: Task, facts: dict[str, Any]) -> str:
    """Return the card as Markdown; `facts` are those of the bundle."""
    domain, name = task_name(run.card)
    summary, environment = run.summary, read_json(run / "environment.json")
    parts = [f"# {domain} {name}: {run.folder.name}", "", task.card.__doc__.splitlines()[0], ""]
    for title, text in (task.display.model_card() | licence_of(run.card)).items():
        parts += [f"## {title}", "", text, ""]
    parts += ["## Data", "", *_data(summary), "", "## Scores", "", *_scores(run)]
    parts += [
        "",
        "## The export",
        "",
        f"{facts['kind']}, {facts['precision']}; 32 golden rows were replayed through it. ",
    ]
    parts[-1] += "`horngate verify` repeats that; `schema.json` names inputs and outputs"
    parts[-1] += ", `labels.json` the classes." if "labels.json" in task.fitted.files else "."
    made = environment["packages"]
    versions = ", ".join(f"{name} {made[name]}" for name in ("horngate", "tensorflow", "keras") if made.get(name))
    parts += ["", "## Made with", "", f"{versions}; seed {environment['seed']}; {summary['device']}; {_start(run)}", ""]
    return "\n".join(parts)


def _data(summary: dict[str, Any]) -> list[str]:
    rows = summary["rows"]
    counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    split = "; ".join(summary["protocol"].get("split", []))
    return [f"Rows: {counts}. Split: {split or summary['protocol'].get('split_rule')}."]


def _scores(run: Run) -> list[str]:
    lines = ["| split | rows | metric | value | 95 % interval | baseline |", "|---|---|---|---|---|---|"]
    for split in ("validation", "test"):
        path = run / "evaluation" / split / "report.json"
        if not path.is_file():
            continue
        report = read_json(path)
        for name, score in report["metrics"].items():
            span = "–" if score["low"] is None else f"{score['low']:.4f} – {score['high']:.4f}"
            value, baseline = (_number(score[key]) for key in ("value", "baseline"))
            lines.append(f"| {split} | {report['rows']:,} | {name} | {value} | {span} | {baseline} |")
    return lines


def _start(run: Run) -> str:
    backbone = getattr(run.card, "backbone", None)
    method = run.summary["method"]
    return f"method {method}" + ("" if backbone is None else f" from {backbone.rstrip('/').rsplit('/', 1)[-1]}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def licence_of(card: Data) -> dict[str, str]:
    """Return what is known of the licence of a card's pretrained weights: title → text; what isn't known is said to be."""
    backbone, weights = getattr(card, "backbone", None), getattr(card, "weights", "none")
    if backbone in (None, "small") or weights == "none":
        return {"Backbone": "A network from random weights: no pretrained ones, and no licence but that of your data."}
    known = licence_of_weights(backbone)
    if known is None:
        return {
            "Backbone": f"{backbone}. The licence of its weights is not known to horngate: look at the page from which "
            "they came (for KerasHub presets: the model's page on Kaggle or Hugging Face)."
        }
    if weights != "imagenet":
        return {
            "Backbone": f"{backbone}, with weights from {Path(weights).name}. If these are the ImageNet weights of "
            f"keras.applications, they came under: {known}; of any other file, ask who gave it. {NOTE}"
        }
    return {"Backbone": f"{backbone}, ImageNet weights of keras.applications: {known}. {NOTE}"}
