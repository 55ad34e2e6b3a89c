"""Lists for users, block by block: what the model says, what is popular where it knows nothing, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content
from horngate.pipelines.metrics.ranking import DEPTH
from horngate.pipelines.recommendation.interactions.loader import READ, read_candidates
from horngate.pipelines.recommendation.interactions.store import FILES, InteractionStore
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.candidates import Candidates
from horngate.pipelines.recommendation.retrieval.neighbours import nearest_past
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import file_digest, read_json
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, Said
from horngate.pipelines.tasks.predictor import ModelPredictor
from horngate.pipelines.tasks.task import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_array

POPULARITY = "popularity"
BY_USER = ("mf", "lightgcn", "towers")  # models that take users by their codes; others take lists of items


class RecommenderPredictor(ModelPredictor):
    """Lists items for users. A task adds the `scores` of its models."""

    raced = False

    def __init__(self, task: Task):
        super().__init__(task)
        self.store: InteractionStore = task.fitted.decisions
        self.fallen_back = 0  # users so far who got what is popular

    @cached_property
    def candidates(self) -> Candidates:
        """What lists may hold."""
        return Candidates(self.task)

    def scores(self, users: np.ndarray, past: "csr_array") -> np.ndarray:
        """Return the scores of all items for known users, given by code: float32 `[n, items]`.

        Args:
            past: `[users, items]`, what each user met before what is answered, in the order of time.
        """
        raise TypeError(f"{type(self).__name__} should say its scores")

    def answerable(self, users: np.ndarray, past: "csr_array") -> np.ndarray:
        """Return bool `[n]`: which users the model itself can answer; the others get what is popular."""
        return (users >= 0) & self.store.answerable[users]

    def item_vectors(self) -> np.ndarray:
        """Return float32 `[items, d]`: vectors whose cosines say how alike items are."""
        from horngate.models.recommendation.retrieval import item_vectors  # Keras, which a bundle does without

        return item_vectors(self.core)

    def columns(self) -> tuple[AnswerColumn, ...]:
        texts = pa.list_(pa.string())
        columns = (
            AnswerColumn("items", texts),
            AnswerColumn("scores", pa.list_(pa.float32())),
            AnswerColumn("fallback", pa.string()),
        )
        return (*columns, AnswerColumn("why", pa.list_(texts))) if self.task.options.get("why") else columns

    def load_state(self, folder: Path) -> Fitted:
        schema = read_json(folder / "schema.json")
        if "reads" not in schema:  # of an older run
            schema["reads"] = "user" if read_json(folder / "run.json")["method"] in BY_USER else "items"
        store = InteractionStore.read(folder, schema["refit"], bool(schema.get("by_features")))
        return Fitted(schema, decisions=store, files=FILES)

    def configure(self, run: Any, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        if options.get("include_seen") and options.get("exclude_seen"):
            raise UserError("give one of --include-seen and --exclude-seen")
        if options.get("why") and not isinstance(run, Run):
            raise UserError("--why looks at vectors of items, which a bundle doesn't hold; give the run")
        fitted, changed = self.fitted, {}
        if path := options.get("candidates"):
            fitted = fitted.having(
                decisions=replace(self.store, candidates=read_candidates(path, self.card, self.store))
            )
            changed["candidates"] = f"{path} ({file_digest(Path(path))})"  # a changed list answers otherwise
        if sampled := options.get("sampled"):
            said = f"{sampled} drawn items beside those held out: such scores compare with no full ranking"
            changed["candidates"] = said
        return fitted, changed

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return scores for codes of users, or of their items; any number of them."""
        if self.task.runtime is None:
            return super().forward(batch)
        size = -(-len(batch) // self.step) * self.step
        filled = np.concatenate([batch, np.repeat(batch[:1], size - len(batch), axis=0)])
        return super().forward(filled)[: len(batch)]

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        return (self._said(block, labelled) for block in blocks)

    def remarks(self) -> list[str]:
        count = f"{self.fallen_back:,} {'user' if self.fallen_back == 1 else 'users'}"
        said = f"{count} got what is popular, since the run knows nothing of them; `fallback` says who"
        return [said] if self.fallen_back else []

    def _said(self, block: pa.Table, labelled: bool) -> Said:
        errors = _errors(block)
        places = [row for row, error in enumerate(errors) if error is None]
        if not places:
            return Said(block, None, [], errors)
        part = block.take(pa.array(places))
        users = self.store.users_of(part["id"] if labelled else part["value"].cast(pa.string()))
        split = part["split"][0].as_py() if labelled else None
        past = self.store.train if split == "train" else self.store.seen(split)
        seen = self.candidates.masked(split)
        only = self.candidates.drawn(users, part["target"].to_pylist(), seen) if labelled else None
        return Said(block, self._lists(users, past, seen, only), places, errors)

    def _lists(
        self, users: np.ndarray, past: "csr_array", seen: "csr_array", only: "csr_array | None"
    ) -> dict[str, Any]:
        """Return the answer columns of users, given by code; -1 is one that the run doesn't know.

        Args:
            seen: `[users, items]`, what is left out for each.
            only: `[n, items]`, what may be listed for each, or None.
        """
        store, depth = self.store, self.task.options.get("k") or DEPTH
        allowed = store.rankable if store.candidates is None else store.rankable & store.candidates
        codes, scores = np.full((len(users), depth), -1, np.int32), np.zeros((len(users), depth), np.float32)
        able = self.answerable(users, past)
        self.fallen_back += int((~able).sum())
        best = partial(ranked_lists.lists, lambda own: self._stepped(own, past))
        for part, lister in ((able, best), (~able, partial(ranked_lists.by_popularity, store.counts))):
            if part.any():
                own = None if only is None else only[part]
                codes[part], scores[part] = lister(users[part], seen, allowed, depth, own)
        sizes = (codes >= 0).sum(1)
        offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
        columns = {
            "items": pa.ListArray.from_arrays(offsets, store.log.items.take(pa.array(codes[codes >= 0]))),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores[codes >= 0], pa.float32())),
            "fallback": pa.array(np.where(able, None, POPULARITY).tolist(), pa.string()),
        }
        if self.task.options.get("why"):
            columns["why"] = nearest_past(self.item_vectors(), store.log.items, past, users, codes)
        return columns

    def _stepped(self, users: np.ndarray, past: "csr_array") -> np.ndarray:
        """Return the scores of users, always computed in batches of one size, so that they don't depend on neighbours."""
        size = ranked_lists.step(len(self.store.log.items))
        filled = np.concatenate([users, np.repeat(users[:1], size - len(users))])
        return np.array(self.scores(filled, past)[: len(users)], np.float32)


def _errors(block: pa.Table) -> list[str | None]:
    """Return why a row can't be answered: it names no user."""
    errors = block["error"].to_pylist()
    for row in np.flatnonzero(np.array([error is None for error in errors])):
        if block["value"][int(row)].is_valid:
            continue
        path = block["input"][int(row)].as_py()
        try:
            content(path, None)
            errors[row] = f"no list of users: it should be one of {', '.join(READ)}"
        except Unreadable as reason:
            errors[row] = str(reason)
    return errors
