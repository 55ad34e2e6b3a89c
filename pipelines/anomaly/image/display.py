"""How strange pictures are shown on pages, with their heat maps; and how an exported model's pictures are read."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.image import heat_maps
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.images.exporter import read_source
from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.drawing import ACCENT, MUTED, bare
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyDisplay, AnomalyExporter
from horngate.pipelines.tasks.parts import Titles

ROW = 26  # pixels of a figure's height per bar
MOST_BARS = 30


class PictureDisplay(AnomalyDisplay):
    """Draws how defects are found, and shows pictures with their heat maps and, where there are some, masks."""

    titles = Titles(
        mistakes="Top cases and mistakes",
        mistakes_said="strangest pictures, worst false alarms and most surely missed anomalies",
        heat_said="its heat map (blue: as usual, green: as strange as held-out pictures get, red: twice as far), and its"
        " mask",
    )

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = drawn.plots(self.task.evaluator.plain(answers), self.fitted.decisions.threshold)
        curve, kinds = report.details.get("pixels", {}).get("curve"), report.details.get("defects", [])
        if curve is not None:
            found.append(overlap(curve, report.metrics["aupro"].value))
        several = sum(kind["auroc"] is not None for kind in kinds) > 1
        return [*found, defects(kinds)] if several else found

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        listed, predictor, schema = list(inputs_of(rows)), self.task.predictor, self.fitted.schema
        if self.fitted.model is None:
            return []
        outputs = np.asarray(
            self.fitted.model.predict_on_batch(np.stack([self.task.reader.read(one) for one in listed]))
        )
        masks = rows["mask"].to_pylist() if "mask" in rows.column_names else [None] * len(listed)
        parts = zip(listed, predictor.grids(outputs), masks, strict=True)
        return [heat_maps.looked_at(data, grid, mask, schema) for data, grid, mask in parts]

    def model_card(self) -> dict[str, str]:
        schema, card = self.fitted.schema, super().model_card()
        how = {"stretch": "stretched to", "pad": "filled up with black to"}[schema["resize"]]
        said = (
            f" Pictures are {how} a square of {schema['size']} pixels before the network sees them; a defect that is"
            " smaller than a pixel of that can't be seen. A map tells where a picture is unlike the training pictures, to"
            f" {schema['grid'][0]} × {schema['grid'][1]} places; it isn't the outline of a defect."
        )
        return card | {"Limits": card["Limits"] + said}


class PictureExporter(AnomalyExporter):
    """Hands over a model of squares of pixels."""

    ranges = {"inputs": (0, 255), "outputs": (0, None)}

    def reading(self) -> str:
        return read_source(self.fitted.schema["size"], self.fitted.schema["resize"])


def overlap(curve: dict[str, list[float]], area: float | None) -> Plot:
    """Return the plot of the per-region overlap against the false positive rate, as `overlap_curve` gives it."""
    rates, overlaps = np.array(curve["false_positive_rate"]), np.array(curve["overlap"])

    def draw(axes) -> None:
        axes.plot(rates, rates, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(rates, overlaps, color=ACCENT)
        axes.set(xlabel="share of the other pixels above", ylabel="mean share of a defect above", ylim=(0, 1.02))
        axes.set_xlim(0, rates[-1])
        bare(axes, "both")

    said = "" if area is None else f" aupro, the mean height, is {area:.3f}."
    text = f"Per-region overlap up to a false positive rate of {rates[-1]:g}: where 5 % of the pixels without a defect lie "
    text += f"above a threshold, so do {np.interp(0.05, rates, overlaps):.3f} of a defect's.{said}"
    caption = "How much of each connected defect lies above a threshold, all defects counting alike. Dashed: a guess."
    return Plot("overlap", "Heat maps and masks", text, draw, caption, 400, 310)


def defects(found: list[dict[str, Any]]) -> Plot:
    """Return the plot of how well each kind of anomaly is told from normal rows."""
    shown = sorted((row for row in found if row["auroc"] is not None), key=lambda row: row["auroc"])[:MOST_BARS]

    def draw(axes) -> None:
        names = [f"{row['defect']} ({row['rows']})" for row in shown]
        axes.barh(names, [row["auroc"] for row in shown], color=ACCENT)
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="auroc against the normal rows", xlim=(0, 1))
        axes.invert_yaxis()
        bare(axes, "x")

    worst = shown[0]
    text = (
        f"Area under the ROC curve of each kind of anomaly; the lowest is {worst['defect']} with {worst['auroc']:.3f}."
    )
    caption = "Hardest first, with the number of rows. Dashed: a guess."
    return Plot("kinds", "Kinds of anomalies", text, draw, caption, 460, 120 + ROW * len(shown))
