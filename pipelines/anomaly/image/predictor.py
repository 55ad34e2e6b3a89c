"""What detectors say of pictures: alarms, and maps of what is strange in them."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.image import heat_maps, localization
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.anomaly_detection.predictor import AnomalyPredictor
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted
from horngate.pipelines.training.rows import ReadRows

if TYPE_CHECKING:
    import keras


class PicturePredictor(AnomalyPredictor):
    """Answers pictures; the core's outputs are the score and the map, row by row of the schema's `grid`."""

    batch_size = 8

    def columns(self) -> tuple[AnswerColumn, ...]:
        drawn = self.task.options.get("heatmaps") is not None
        return (
            *super().columns(),
            *((AnswerColumn("heatmap", pa.string()),) if drawn else ()),
            *(AnswerColumn(field.name, field.type, "measured") for field in localization.MEASURED),
        )

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        said, options = super().answers(listed, outputs, labelled), self.task.options
        if labelled:
            said |= localization.measured(listed, outputs[:, 1:])
        if (folder := options.get("heatmaps")) is not None:
            floats, schema = bool(options.get("float_maps")), self.fitted.schema
            said["heatmap"] = heat_maps.written(listed, self.grids(outputs), schema, folder, floats)
        return said

    def grids(self, outputs: np.ndarray) -> np.ndarray:
        """Return the maps in outputs, float32 `[n, h, w]`."""
        return outputs[:, 1:].reshape(len(outputs), *self.fitted.schema["grid"])

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        if options.get("float_maps") and options.get("heatmaps") is None:
            raise UserError("--float-maps are written beside heat maps; name their folder with --heatmaps DIR")
        return super().configure(run, options)

    def outputs(self, table: pa.Table, label: str) -> np.ndarray:
        outputs: list[np.ndarray] = []
        rows = ReadRows(self.task.reader, table, np.zeros((table.num_rows, 1), np.float32))
        with progress.job(label, table.num_rows) as done:
            for places, batch in rows.in_turn(self.batch_size):
                outputs.append(np.asarray(self.core.predict_on_batch(batch))[: len(places)])
                done(len(places))
        return np.concatenate(outputs)

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        return None if self._pooled is None else np.asarray(self._pooled.predict_on_batch(batch))

    @cached_property
    def _pooled(self) -> "keras.Model | None":
        """From pixels to the mean of a picture's patches; None where the detector has none."""
        import keras  # which a bundle of another runtime does without

        if "joined" not in [layer.name for layer in self.core.layers]:
            return None
        pooled = keras.layers.GlobalAveragePooling2D()(self.core.get_layer("joined").output)
        return keras.Model(self.core.input, pooled)
