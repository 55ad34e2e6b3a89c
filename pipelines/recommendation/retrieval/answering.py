"""Lists for users, block by block: what the model says, what is popular where it knows nothing, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content
from horngate.pipelines.metrics.ranking import DEPTH
from horngate.pipelines.recommendation.interactions.loader import READ, read_candidates
from horngate.pipelines.recommendation.interactions.store import Known
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.neighbours import nearest_past
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import file_digest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

POPULARITY = "popularity"


class Answering:
    """The part of a recommender that answers; the whole has `known`, `rankable`, `held`, `scores` and `item_vectors`.

    Attributes:
        depth: how many items a list has.
        allowed: bool `[items]`, the only ones to choose from, or None.
        sampled: how many drawn items those held out are ranked against, or None for all there are.
        past: `[users, items]`, what each user met before what is answered, in the order of time.
        fallen_back: users so far who got what is popular.
    """

    known: Known
    card: Any
    rankable: np.ndarray
    past: "csr_array"
    depth = DEPTH
    allowed: np.ndarray | None = None
    sampled: int | None = None
    why = False
    include_seen = False
    fallen_back = 0

    def said(self, block: pa.Table, labelled: bool) -> tuple[dict[str, Any] | None, list[int], list[str | None]]:
        errors = _errors(block)
        places = [row for row, error in enumerate(errors) if error is None]
        if not places:
            return None, [], errors
        part = block.take(pa.array(places))
        users = self.known.users_of(part["id"] if labelled else part["value"].cast(pa.string()))
        split = part["split"][0].as_py() if labelled else None
        self.past = self.known.train if split == "train" else self.known.seen(split)
        seen = self.masked(split)
        only = self.only(users, self.held(part["target"].to_pylist()), seen) if labelled and self.sampled else None
        return self.listed_for(users, seen, only), places, errors

    def masked(self, split: str | None) -> "csr_array":
        """Return what is left out of lists, `[users, items]`: all that came before, or nothing where it may come again."""
        return self.known.seen("train" if self.include_seen else split)

    def looked_at(self, split: str) -> "csr_array":
        """Return what rivals go by when they answer a split, `[users, items]`: what models of this task go by, too."""
        return self.known.learnt

    def only(self, users: np.ndarray, held: tuple[np.ndarray, np.ndarray], seen: "csr_array") -> "csr_array":
        """Return what those held out of users are ranked against when candidates are drawn, as of `ranked.drawn`."""
        return ranked_lists.drawn(users, held, seen, self.rankable, self.sampled, self.card.seed)

    def listed_for(self, users: np.ndarray, seen: "csr_array", only: "csr_array | None" = None) -> dict[str, Any]:
        """Return the answer columns of users, given by code; -1 is one that the run doesn't know.

        Args:
            seen: `[users, items]`, what is left out for each.
            only: `[n, items]`, what may be listed for each, or None.
        """
        allowed = self.rankable if self.allowed is None else self.rankable & self.allowed
        codes, scores = np.full((len(users), self.depth), -1, np.int32), np.zeros((len(users), self.depth), np.float32)
        able = self.answerable(users)
        self.fallen_back += int((~able).sum())
        for part, lister in ((able, self._best), (~able, self.popular)):
            if part.any():
                own = None if only is None else only[part]
                codes[part], scores[part] = lister(users[part], seen, allowed, self.depth, own)
        sizes = (codes >= 0).sum(1)
        offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
        columns = {
            "items": pa.ListArray.from_arrays(offsets, self.known.log.items.take(pa.array(codes[codes >= 0]))),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores[codes >= 0], pa.float32())),
            "fallback": pa.array(np.where(able, None, POPULARITY).tolist(), pa.string()),
        }
        if self.why:
            columns["why"] = nearest_past(self, users, codes)
        return columns

    def remarks(self) -> list[str]:
        count = f"{self.fallen_back:,} {'user' if self.fallen_back == 1 else 'users'}"
        said = f"{count} got what is popular, since the run knows nothing of them; `fallback` says who"
        return [said] if self.fallen_back else []

    def _best(
        self, users: np.ndarray, seen: "csr_array", allowed: np.ndarray, depth: int, only: "csr_array | None"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lists by the model's own scores, as `ranked.lists` does."""
        return ranked_lists.lists(self._stepped, users, seen, allowed, depth, only)

    def popular(
        self, users: np.ndarray, seen: "csr_array", allowed: np.ndarray, depth: int, only: "csr_array | None"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lists by popularity, as `ranked.lists` does."""
        counts = self.known.counts
        if only is None:
            return ranked_lists.by_popularity(counts, users, seen, allowed, depth)
        fame = counts.astype(np.float32)
        return ranked_lists.lists(lambda own: np.tile(fame, (len(own), 1)), users, seen, allowed, depth, only)

    def answerable(self, users: np.ndarray) -> np.ndarray:
        """Return bool `[n]`: which users the model itself can answer; the others get what is popular."""
        learnt = self.known.learnt_users
        return (users >= 0) & (learnt | self._featured("user", len(learnt)))[users]

    def _stepped(self, users: np.ndarray) -> np.ndarray:
        """Return the scores of users, always computed in batches of one size, so that they don't depend on neighbours."""
        size = ranked_lists.step(len(self.known.log.items))
        filled = np.concatenate([users, np.repeat(users[:1], size - len(users))])
        return np.array(self.scores(filled)[: len(users)], np.float32)

    def answer_schema(self) -> pa.Schema:
        texts = pa.list_(pa.string())
        fields = [("items", texts), ("scores", pa.list_(pa.float32())), ("fallback", pa.string())]
        return pa.schema([*fields, *([("why", pa.list_(texts))] if self.why else [])])

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        if options.get("include_seen") and options.get("exclude_seen"):
            raise UserError("give one of --include-seen and --exclude-seen")
        self.depth = options.get("k") or DEPTH
        self.include_seen, self.why = bool(options.get("include_seen")), bool(options.get("why"))
        if self.why and not isinstance(run, Run):
            raise UserError("--why looks at vectors of items, which a bundle doesn't hold; give the run")
        if options.get("candidates"):
            self.allowed = read_candidates(options["candidates"], self.card, self.known)
            mark = file_digest(Path(options["candidates"]))  # a changed list answers otherwise
            options["candidates"] += f" ({mark})"
        self.sampled = options.get("sampled")
        if self.sampled is None:
            return {}
        said = f"{self.sampled} drawn items beside those held out: such scores compare with no full ranking"
        return {"candidates": said}


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
