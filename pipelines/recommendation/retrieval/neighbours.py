"""What is near to what: the past items behind a recommendation, and items that are like another."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system import device
from horngate.pipelines.tasks.task import task_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEAREST = 3  # past items for each recommended one


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors float32 `[n, d]` scaled to length 1; those without a length stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def nearest_past(
    vectors: np.ndarray, items: pa.Array, past: "csr_array", users: np.ndarray, codes: np.ndarray
) -> pa.Array:
    """Return for each user's items lists of the past items that are nearest to each: list of lists of ids.

    Args:
        vectors: float32 `[items, d]`, whose cosines say how alike items are.
        items: their ids.
        past: `[users, items]`, what each user met.
        users: codes int64 `[n]`, -1 where unknown; these, and users without a past, get empty lists.
        codes: int32 `[n, k]` of the recommended items, -1 behind the end of a list.
    """
    vectors, outer, inner, found = unit(vectors), [0], [0], []
    for user, own in zip(users, codes, strict=True):
        own = own[own >= 0]
        met = past.indices[past.indptr[user] : past.indptr[user + 1]] if user >= 0 else own[:0]
        outer.append(outer[-1] + len(own))
        if len(met):
            alike = vectors[own] @ vectors[met].T
            order = np.argsort(-alike, axis=1, kind="stable")[:, :NEAREST]
            found.append(met[order].ravel())
        inner += (inner[-1] + min(NEAREST, len(met)) * np.arange(1, len(own) + 1)).tolist()
    flat = np.concatenate(found) if found else np.zeros(0, np.int64)
    names = pa.ListArray.from_arrays(pa.array(inner, pa.int32()), items.take(pa.array(flat)))
    return pa.ListArray.from_arrays(pa.array(outer, pa.int32()), names)


def similar_items(run: str | os.PathLike, item: str, count: int = 10) -> list[dict[str, Any]]:
    """Return the items of a run that are most like one of them: `item`, `score` (a cosine), the most alike first.

    Raises:
        UserError: no run of recommendation, or an item that it didn't learn.
    """
    source = Run.open(run)
    if task_name(source.card)[0] != "recommendation" or not hasattr(source.card, "split_rule"):
        raise UserError(
            f"{run} is a run of {' '.join(task_name(source.card))}; similar items take one of recommendation"
        )
    device.set_up(source.card.device, source.card.precision, source.card.seed)
    task = task_of(source.card).opened(source)
    store = task.fitted.decisions
    code = int(store.items_of(pa.array([item], pa.string()))[0])
    if code < 0 or not store.rankable[code]:
        close = nearest(item, store.log.items.to_pylist()) if code < 0 else ""
        raise UserError(f'{run} has not learnt an item "{item}".{close}')
    vectors = unit(task.predictor.item_vectors())
    alike = vectors @ vectors[code]
    alike[~store.rankable] = -np.inf
    alike[code] = -np.inf
    order = np.argsort(-alike, kind="stable")[:count]
    order = order[np.isfinite(alike[order])]
    names = store.log.items.take(pa.array(order)).to_pylist()
    return [{"item": name, "score": float(alike[row])} for name, row in zip(names, order, strict=True)]
