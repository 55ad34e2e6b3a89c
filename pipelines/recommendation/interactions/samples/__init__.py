"""The made-up logs by name, each a file of its name, with `_` for `-`: what they hold, and who lists their items best.

Its module has `log()`, the columns by role, `oracle(log, rankable)`, who lists the items by their true chances, and `RULE`,
the rule of splitting under which the oracle knows what is asked for (None: any).
"""

import pyarrow as pa

from horngate.pipelines.data.samples import sample_module, sample_names
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval.ranked_lists import Lister

PREFIX = "sample:"


def sample_columns(name: str) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a sample, by role.

    Raises:
        UserError: no such sample.
    """
    columns = sample_module(name, __name__, " of interactions").log()
    return {role: pa.chunked_array([pa.array(values)]) for role, values in columns.items()}


def oracle(source: str, store: InteractionStore, rule: str) -> Lister | None:
    """Return who lists the items of a sample by their true chances; None where nobody knows them."""
    name = source.removeprefix(PREFIX)
    if not source.startswith(PREFIX) or name not in sample_names(__path__):
        return None
    module = sample_module(name, __name__)
    return module.oracle(store.log, store.rankable) if module.RULE in (None, rule) else None
