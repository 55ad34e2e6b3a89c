"""How strange pictures are shown on pages, with their heat maps; and how an exported model's pictures are read."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.image import heat_maps
from horngate.pipelines.anomaly.image import plots as drawn_pixels
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.images.exporter import read_source
from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyDisplay, AnomalyExporter
from horngate.pipelines.tasks.parts import Titles


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
            found.append(drawn_pixels.overlap(curve, report.metrics["aupro"].value))
        several = sum(kind["auroc"] is not None for kind in kinds) > 1
        return [*found, drawn_pixels.defects(kinds)] if several else found

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
