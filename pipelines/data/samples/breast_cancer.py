"""The sample `breast-cancer`: tumours that ship with scikit-learn."""

import json

import pyarrow as pa
from sklearn.datasets import load_breast_cancer

from horngate.pipelines.data.sources.blocks import block


def table() -> pa.Table:
    """Return the 569 tumours that ship with scikit-learn (UCI, Wolberg et al. 1995): 30 numbers, benign or malignant."""
    tumours = load_breast_cancer()
    names = [name.replace(" ", "_") for name in tumours.feature_names.tolist()]
    values = [json.dumps(dict(zip(names, row, strict=True))).encode() for row in tumours.data.tolist()]
    targets = [str(tumours.target_names[target]) for target in tumours.target]
    return block({"id": [f"tumour-{place:03d}" for place in range(len(values))], "value": values, "target": targets})
