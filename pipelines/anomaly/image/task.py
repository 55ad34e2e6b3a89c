"""Strange pictures, and what is strange in them."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.image import heat_maps, localization
from horngate.pipelines.anomaly.image import plots as drawn_pixels
from horngate.pipelines.anomaly.image.fitting import SIDE, PictureFitting, chosen_detector, distances_of_thumbnails
from horngate.pipelines.anomaly.image.localization import Mapped
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import ReadRows, inputs_of
from horngate.pipelines.images.example import read_source
from horngate.pipelines.images.reader import SUFFIXES, Facts, Reader
from horngate.pipelines.images.statistics import statistics
from horngate.pipelines.metrics import detection, pixels
from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.alarms import Alarms
from horngate.pipelines.tasks.detector import Detector
from horngate.pipelines.tasks.legacy import LegacyParts

if TYPE_CHECKING:
    import keras


class Pipeline(Detector):
    """`horngate anomaly image`."""

    suffixes = SUFFIXES
    batch_size = 8
    mistakes_title = "Top cases and mistakes"
    mistakes_said = "strangest pictures, worst false alarms and most surely missed anomalies"
    heat_said = (
        "its heat map (blue: as usual, green: as strange as held-out pictures get, red: twice as far), and its mask"
    )

    def __init__(self, card: Any):
        super().__init__(card)
        self.measuring = False
        self.heatmaps: str | None = None
        self.float_maps = False

    # What is a row?

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        return super().findings(table, splits) + localization.mask_findings(table, self._truth(table))

    def _truth(self, table: pa.Table) -> np.ndarray:
        targets = table["target"].to_pylist()
        try:
            return Alarms.named(targets, self.card).encode(targets)
        except UserError:
            return np.full(len(targets), np.nan, np.float32)

    def settle(self, facts: list[Facts]) -> None:
        self.schema = {"kind": "picture", "resize": self.card.resize, "size": self.card.image_size or SIDE}

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return Reader(self.schema["size"], self.schema["resize"]).read(data)

    def begin(self, labelled: bool = True) -> None:
        self.measuring = labelled

    # How does it learn?

    def learn(self, table: pa.Table, places: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
        held = places["validation"][self.alarms.encode(table["target"].to_pylist())[places["validation"]] != 1]
        fitting = PictureFitting(self, run, *(table.take(pa.array(rows)) for rows in (places["train"], held)))
        detector, why = chosen_detector(self.card)
        if detector == "autoencoder":
            self.answers, said = fitting.autoencoder(self.schema["size"])
        else:
            encoder = fitting.encoder()
            self.schema["size"] = encoder.input_shape[1]
            self.answers, said = getattr(fitting, detector)(encoder)
        self._scale(table.take(pa.array(held if len(held) else places["train"])))
        return {"method": detector, "why": why, "history": fitting.history, "protocol": said}

    def _scale(self, table: pa.Table) -> None:
        """Fix between which values heat maps are drawn, and the grid of the maps."""
        maps = self.scored(table, "heat maps of usual pictures")[:, 1:]
        if not np.isfinite(maps).all():
            raise UserError("the detector gave no numbers; with --precision float32 it may")
        side = round(maps.shape[1] ** 0.5)
        self.schema["grid"] = [side, side]
        self.schema["heat"] = [float(np.median(maps)), float(np.quantile(maps, 0.999))]

    def scored(self, table: pa.Table, label: str) -> np.ndarray:
        outputs: list[np.ndarray] = []
        rows = ReadRows(LegacyParts(self), table, np.zeros((table.num_rows, 1), np.float32))
        with progress.job(label, table.num_rows) as done:
            for places, batch in rows.in_turn(self.batch_size):
                outputs.append(np.asarray(self.core.predict_on_batch(batch))[: len(places)])
                done(len(places))
        return np.concatenate(outputs)

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Return the distance to the fifth nearest training picture in grey 32 × 32 thumbnails: what needs no network."""
        thumbnails = np.stack([fact.thumbnail for fact in facts])
        learnt = splits == "train"
        if self.card.protocol == "one-class":
            learnt &= self.alarms.encode(table["target"].to_pylist()) != 1
        rows = {name: np.flatnonzero(splits == name) for name in ("validation", "test")}
        found = distances_of_thumbnails(thumbnails, np.flatnonzero(learnt), rows, self.card.seed)
        return {"thumbnail_neighbours": found}

    # What does it say?

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        self.heatmaps, self.float_maps = options.get("heatmaps"), bool(options.get("float_maps"))
        if self.float_maps and self.heatmaps is None:
            raise UserError("--float-maps are written beside heat maps; name their folder with --heatmaps DIR")
        return super().adjust(run, options)

    def reason_fields(self) -> list[tuple[str, pa.DataType]]:
        return [] if self.heatmaps is None else [("heatmap", pa.string())]

    def measured_schema(self) -> pa.Schema:
        return localization.MEASURED

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, Any]:
        said = self.rows(outputs)
        if self.measuring:
            said |= localization.measured(listed, outputs[:, 1:])
        if self.heatmaps is not None:
            said["heatmap"] = heat_maps.written(
                listed, self._grids(outputs), self.schema, self.heatmaps, self.float_maps
            )
        return said

    def _grids(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 1:].reshape(len(outputs), *self.schema["grid"])

    # How good is it?

    def outcome(self, answers: pa.Table) -> Mapped:
        plain = super().outcome(answers)
        return Mapped(
            plain.scores, plain.targets, plain.chosen, *localization.counted(answers, plain.targets, self.schema)
        )

    def guess(self, outcome: detection.Outcome) -> detection.Outcome:
        guessed = detection.by_chance(outcome)
        counts = getattr(outcome, "pixels", None)
        return guessed if counts is None else Mapped(guessed.scores, guessed.targets, guessed.chosen, counts.levelled())

    def measures(self, outcome: detection.Outcome) -> dict[str, tuple[Any, Any]]:
        counts = getattr(outcome, "pixels", None)
        found = detection.measures(outcome, ("auroc", "average_precision"))
        return found | ({} if counts is None else pixels.measures(counts))

    def details(self, answers: pa.Table, outcome: Mapped) -> dict[str, Any]:
        found = super().details(answers, outcome) | {"defects": localization.by_defect(answers, outcome)}
        if outcome.pixels is not None and outcome.pixels.regions.any():
            found["pixels"] = outcome.masks | {"curve": pixels.overlap_curve(outcome.pixels)}
        elif outcome.masks.get("left_out"):
            found["pixels"] = outcome.masks
        return found

    def _top(self, answers: pa.Table) -> list[dict[str, Any]]:
        truth = self.alarms.encode(answers["target"].to_pylist())
        chosen = localization.cases(answers["score"].to_numpy(), truth, self.alarms.threshold)
        rows = (
            answers.select(["id", "target", "score", "p_value", "anomalous"]).take(pa.array(list(chosen))).to_pylist()
        )
        return [
            row | {"label": f"{said}, p {row['p_value']:.3g}"} for row, said in zip(rows, chosen.values(), strict=True)
        ]

    # What does its page show?

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = drawn.plots(super().outcome(answers), self.alarms.threshold)
        curve, kinds = report.details.get("pixels", {}).get("curve"), report.details.get("defects", [])
        if curve is not None:
            found.append(drawn_pixels.overlap(curve, report.metrics["aupro"].value))
        several = sum(kind["auroc"] is not None for kind in kinds) > 1
        return [*found, drawn_pixels.defects(kinds)] if several else found

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the pictures with their heat maps and, where there are some, masks."""
        listed = list(inputs_of(rows))
        if not hasattr(self, "answers"):
            return []
        outputs = np.asarray(self.core.predict_on_batch(np.stack([self.read(data) for data in listed])))
        masks = rows["mask"].to_pylist() if "mask" in rows.column_names else [None] * len(listed)
        parts = zip(listed, self._grids(outputs), masks, strict=True)
        return [heat_maps.looked_at(data, grid, mask, self.schema) for data, grid, mask in parts]

    # How is it handed over?

    ranges = {"inputs": (0, 255), "outputs": (0, None)}

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return statistics(data, tensor)

    @cached_property
    def _seen(self) -> "keras.Model | None":
        """From pixels to the mean of a picture's patches; None where the detector has none."""
        import keras

        names = [layer.name for layer in self.core.layers]
        if "joined" not in names:
            return None
        pooled = keras.layers.GlobalAveragePooling2D()(self.core.get_layer("joined").output)
        return keras.Model(self.core.input, pooled)

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        return None if self._seen is None else np.asarray(self._seen.predict_on_batch(batch))

    def example(self) -> str:
        return read_source(self.schema["size"], self.schema["resize"])

    def model_card(self) -> dict[str, str]:
        how = {"stretch": "stretched to", "pad": "filled up with black to"}[self.schema["resize"]]
        card = super().model_card()
        said = (
            f" Pictures are {how} a square of {self.schema['size']} pixels before the network sees them; a defect that is"
            " smaller than a pixel of that can't be seen. A map tells where a picture is unlike the training pictures, to"
            f" {self.schema['grid'][0]} × {self.schema['grid'][1]} places; it isn't the outline of a defect."
        )
        return card | {"Limits": card["Limits"] + said}
