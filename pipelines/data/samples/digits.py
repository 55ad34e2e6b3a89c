"""The sample `digits`: handwritten digits that ship with scikit-learn."""

import pyarrow as pa
from sklearn.datasets import load_digits

from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.images.heat_maps import png


def table() -> pa.Table:
    """Return the 1,797 handwritten digits that ship with scikit-learn (UCI, Alpaydin & Kaynak 1998), 8 × 8, 17 greys."""
    digits = load_digits()
    pictures = [png((image * 15.9375).astype("uint8")) for image in digits.images]
    targets = [str(target) for target in digits.target]
    names = [f"digit-{place:04d}" for place in range(len(targets))]
    return block({"id": names, "value": pictures, "target": targets})
