"""How a network that sorts pictures is handed over: it takes pixels, and as a SavedModel encoded pictures too."""

from typing import Any

from horngate.pipelines.images.display import as_png
from horngate.pipelines.tasks.classification.display import LabelExporter
from horngate.pipelines.tasks.parts import Serving

WAYS = {
    "stretch": "",
    "crop": """    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
""",
    "pad": """    side = max(image.size)
    image = ImageOps.pad(image, (side, side))
    box = (0, 0, side, side)
""",
}


def read_source(size: int, resize: str, grey: bool = False) -> str:
    """Return the source of `read(path)`: uint8 `[size, size, 3]` as horngate's own reader gives it for an RGB picture;

    of a grey one `[size, size, 1]`.
    """
    mode, lifted = ("L", "[..., None]") if grey else ("RGB", "")
    box = "" if resize == "stretch" else ", box=box"
    return f"""import numpy as np
from PIL import Image, ImageOps


def read(path):
    image = Image.open(path)
    image.draft("{mode}", ({2 * size}, {2 * size}))
    image = ImageOps.exif_transpose(image).convert("{mode}")
{WAYS[resize]}    return np.asarray(image.resize(({size}, {size}), Image.Resampling.BILINEAR{box})){lifted}
"""


class PictureExporter(LabelExporter):
    """Hands a network over that sorts pictures of 8 bits a channel; of others, what takes pixels alone."""

    ranges = {"inputs": (0, 255), "outputs": (0, 1)}

    @property
    def _encodable(self) -> bool:
        return self.fitted.schema.get("dtype", "uint8") == "uint8"

    def serving(self) -> Serving | None:
        if not self._encodable:
            return None
        from horngate.pipelines.images.serving import decoded, labelled  # TensorFlow, which other formats do without

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
