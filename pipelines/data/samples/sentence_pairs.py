"""The sample `sentence-pairs`: two sentences that belong together, without scores."""

import json

import pyarrow as pa

from horngate.pipelines.data.samples.docstrings import documented
from horngate.pipelines.data.sources.blocks import block


def table() -> pa.Table:
    """Return the first two sentences of each docstring of `docstrings` that has two: pairs without scores."""
    found = [(place, sentences) for _, place, sentences, _ in documented() if len(sentences) > 1]
    values = [json.dumps(sentences[:2]).encode() for _, sentences in found]
    return block({"id": [place for place, _ in found], "value": values})
