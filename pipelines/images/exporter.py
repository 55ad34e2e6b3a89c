"""How a network that sorts pictures is handed over: it takes pixels, and as a SavedModel encoded pictures too."""

from typing import Any

from horngate.pipelines.images.display import as_png
from horngate.pipelines.images.example import read_source
from horngate.pipelines.tasks.classification.display import LabelExporter
from horngate.pipelines.tasks.parts import Serving


class PictureExporter(LabelExporter):
    """Hands a network over that sorts pictures of 8 bits a channel; of others, what takes pixels alone."""

    ranges = {"inputs": (0, 255), "outputs": (0, 1)}

    @property
    def _encodable(self) -> bool:
        return self.fitted.schema.get("dtype", "uint8") == "uint8"

    def serving(self) -> Serving | None:
        if not self._encodable:
            return None
        from horngate.pipelines.images.decoding import decoded
        from horngate.pipelines.runtimes.serving import labelled  # TensorFlow, which other formats do without

        schema, labels, core = self.fitted.schema, self.fitted.decisions, self.task.predictor.core

        def serve(inputs: Any) -> dict[str, Any]:
            pixels = decoded(inputs, schema["size"], schema["resize"], schema.get("channels", 3))
            return labelled(labels, core(pixels, training=False))

        return Serving(serve, as_png)

    def reading(self) -> str:
        schema = self.fitted.schema
        if not self._encodable:
            return super().reading()
        return read_source(schema["size"], schema["resize"], schema.get("channels", 3) == 1)
