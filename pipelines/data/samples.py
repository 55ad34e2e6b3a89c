"""Samples: small real data that needs no network, for `sample:NAME`."""

from collections.abc import Iterator
from io import BytesIO

import pyarrow as pa

from horngate.pipelines.data.sources import block
from horngate.pipelines.errors import UserError, nearest


def sample(name: str) -> Iterator[pa.Table]:
    """Yield the blocks of a sample.

    Raises:
        UserError: no such sample.
    """
    if name not in SAMPLES:
        raise UserError(f'no sample "{name}".{nearest(name, SAMPLES)} Known: {", ".join(SAMPLES)}')
    yield SAMPLES[name]()


def _digits() -> pa.Table:
    """Return the 1,797 handwritten digits that ship with scikit-learn (UCI, Alpaydin & Kaynak 1998), 8 × 8, 17 greys."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = [_png((image * 15.9375).astype("uint8")) for image in digits.images]
    targets = [str(target) for target in digits.target]
    names = [f"digit-{place:04d}" for place in range(len(targets))]
    return block({"id": names, "value": pictures, "target": targets})


def _png(pixels) -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


SAMPLES = {"digits": _digits}
