"""The made-up logs by name: what they hold, and who lists their items as well as can be."""

import numpy as np
import pyarrow as pa

from horngate.pipelines.recommendation.interactions import made_up, made_up_walks
from horngate.pipelines.recommendation.interactions.store import Known
from horngate.pipelines.recommendation.retrieval.ranked_lists import Lister
from horngate.pipelines.spec.errors import UserError, nearest

SAMPLES = {module.NAME: module for module in (made_up, made_up_walks)}
PREFIX = "sample:"


def sample_columns(name: str) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a sample, by role.

    Raises:
        UserError: no such sample.
    """
    if name not in SAMPLES:
        raise UserError(f'no sample "{name}" of interactions.{nearest(name, SAMPLES)} Known: {", ".join(SAMPLES)}')
    return {role: pa.chunked_array([pa.array(values)]) for role, values in SAMPLES[name].columns().items()}


def oracle(source: str, known: Known, rankable: np.ndarray, rule: str) -> Lister | None:
    """Return who lists the items of a sample by their true chances; None where nobody knows them."""
    module = SAMPLES.get(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else None
    if module is None or (module.RULE is not None and rule != module.RULE):
        return None
    return module.oracle(known.log, rankable)
