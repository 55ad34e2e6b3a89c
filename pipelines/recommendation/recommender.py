"""Recommendation of items: cases, answers in blocks, rivals, measures. A task adds how it learns and how it scores."""

import json
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines import progress
from horngate.pipelines.base import Pipeline
from horngate.pipelines.card import elsewhere
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import content
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.errors import Unreadable, UserError
from horngate.pipelines.files import file_digest, read_json, whole, write_rows
from horngate.pipelines.measure import ranking
from horngate.pipelines.measure.ranking import Ranking
from horngate.pipelines.page.plot import Plot
from horngate.pipelines.recommendation import ranked, samples
from horngate.pipelines.recommendation.cases import listed, sliced
from horngate.pipelines.recommendation.door import READ, read_log
from horngate.pipelines.recommendation.log import merged
from horngate.pipelines.recommendation.looking import Looked, look
from horngate.pipelines.recommendation.tables import FILES, Known
from horngate.pipelines.report import Report
from horngate.pipelines.run import Run

if TYPE_CHECKING:
    import keras
    from scipy.sparse import csr_array

HISTORY = ["phase", "epoch", "loss", "val_loss", "learning_rate"]
DEPTH = ranking.DEPTH
POPULARITY = "popularity"


class Recommender(Pipeline):
    """What all tasks share that recommend items. A task adds `learn`, `scores` and `item_vectors`.

    Attributes:
        known: users, items and interactions.
        past: `[users, items]`, what each user met before what is answered, in the order of time.
        answers: the Keras model.
    """

    suffixes = READ
    handed_over = FILES
    blockwise = True
    repeats = False  # whether it counts when a user meets an item again
    unexportable = "a recommender's lists depend on what each user met, which an exported model alone doesn't know"
    mistakes_title = "Missed most"
    mistakes_said = "users of whom most was held out and nothing found"
    known: Known
    past: "csr_array"
    answers: "keras.Model"

    def __init__(self, card: Any):
        super().__init__(card)
        self.depth, self.allowed, self.why, self.include_seen = DEPTH, None, False, False
        self.sampled: int | None = None  # items that each user's targets are ranked against, instead of all
        self.history: list[dict[str, Any]] = []
        self.columns = HISTORY

    @abstractmethod
    def learn(self, run: Run) -> dict[str, Any]:
        """Learn from `known.learnt`, choose on validation, set `answers`, and return what the summary should say.

        Returns:
            `method`, `why` it was chosen, `costs` (seconds by phase), and where they apply `protocol` (more of it) and
            `by_features` (whether the model answers for what side tables alone know).
        """

    @abstractmethod
    def scores(self, users: np.ndarray) -> np.ndarray:
        """Return the scores of all items for known users, given by code: float32 `[n, items]`."""

    @abstractmethod
    def item_vectors(self) -> np.ndarray:
        """Return float32 `[items, d]`: vectors whose cosines say how alike items are."""

    # What is a row?

    def survey(self) -> Looked:
        return look(self.card, self.repeats)

    def assigned(self, seen: Looked, run: Run) -> tuple[np.ndarray, list[str]]:
        ids = {"user": seen.log.users, "item": seen.log.items}
        featured = {
            role: pc.is_in(ids[role], value_set=pa.array(table.ids, pa.string())).to_numpy(zero_copy_only=False)
            for role, table in seen.tables.items()
        }
        self.known = Known(seen.log, seen.sides, featured=featured)
        self.looked = seen
        return np.array(seen.table["split"].to_pylist(), dtype=object), seen.notes

    def inspect(self, data: bytes, suffix: str) -> Any:
        raise NotImplementedError("a log is looked at as a whole, by `survey`")

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        return []

    def settle(self, facts: list[Any]) -> None:
        if self.card.class_weights != "none":
            raise UserError("--class-weights is for classes; leave it out")
        self.schema = {"users": len(self.known.log.users), "items": len(self.known.log.items)}

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the popularity of the items of a case, and the share of them that are known."""
        codes = self.known.items_of(pa.array(json.loads(data), pa.string()))
        counts = np.where(codes >= 0, self.known.counts[codes], 0)
        return np.array([np.log1p(counts).mean(), (counts > 0).mean()], np.float32)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return {"log-popularity of items": float(tensor[0]), "share of items that are known": float(tensor[1])}

    def sort_of(self, target: str) -> str:
        return "users"

    # How does it learn?

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        for name, count in self.looked.protocol.items():
            if name.endswith("_only_in_test") and count:
                progress.notice(f"{count:,} {name.split('_')[0]} stand in the test alone; they count in its scores")
        with device.scope():
            found = self.learn(run)
        self.schema["by_features"] = bool(found.get("by_features"))
        with whole(run / "model.keras") as temporary:
            self.answers.save(temporary, include_optimizer=False)
        write_rows(run / "history.csv", self.history, HISTORY)
        self.known.write(run.folder)
        protocol = {
            "split_rule": self.looked.rule,
            "method": found["method"],
            "chosen_because": found["why"],
            "refit": self.known.refit,
            "candidates": "full ranking of all items with a training interaction; "
            + ("seen ones too" if self.include_seen else "seen ones are masked, in the test also those of validation"),
            "ties": f"broken by an order of the items drawn with seed {self.card.seed}",
        }
        return {
            "method": found["method"],
            "costs_seconds": found["costs"],
            "parameters": int(self.answers.count_params()),
            "protocol": protocol | self.looked.protocol | found.get("protocol", {}),
        }

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Any]) -> dict[str, dict[str, np.ndarray]]:
        from horngate.pipelines.recommendation.rivals import rivals

        listers, self.schema["references"] = rivals(self.known, self.rankable)
        best = samples.oracle(self.card.data, self.known, self.rankable, self.looked.rule)
        listers |= {"oracle": best} if best else {}
        users = {
            split: self.known.users_of(table["id"].take(pa.array(np.flatnonzero(splits == split))))
            for split in ("validation", "test")
            if (splits == split).any()
        }
        return {
            name: {split: lister(codes, self.masked(split)) for split, codes in users.items()}
            for name, lister in listers.items()
        }

    # What does it say?

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        self.known = Known.read(folder, bool(getattr(self.card, "refit", False)))

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)

    @property
    def core(self) -> "keras.Model":
        return self.answers

    @property
    def rankable(self) -> np.ndarray:
        """bool `[items]`: which items can be recommended: those that were learnt, or that features tell enough of."""
        learnt = self.known.learnt_items
        return learnt | self._featured("item", len(learnt))

    def _featured(self, role: str, count: int) -> np.ndarray:
        """Return bool `[count]`: whose features the model knows how to read."""
        nothing = np.zeros(count, bool)
        return self.known.featured.get(role, nothing) if self.schema.get("by_features") else nothing

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the cases of one of the run's splits, from the run itself."""
        splits = run.splits
        own = splits.filter(pc.equal(splits["split"], split))
        if not own.num_rows:
            there = ", ".join(sorted(set(splits["split"].to_pylist())))
            raise UserError(f"{run.folder} has no users in {split}; it has {there}")
        table = self._cases(own["id"].combine_chunks(), own["target"].combine_chunks(), split)
        return table, np.full(table.num_rows, None, object), np.arange(table.num_rows)

    def _cases(self, ids: pa.Array, targets: pa.Array, split: str | None) -> pa.Table:
        """Return cases of users, sliced by what the run knows of them."""
        offsets, codes = self._held(targets.to_pylist())
        counts = np.append(self.known.counts, 0)  # the last one is for codes of -1
        met = np.append(np.diff(self.known.train.indptr), 0)[self.known.users_of(ids)]
        return sliced(ids, targets, split, met, (offsets, counts[codes]), self.known.counts)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the cases of another log: users with the items that they met there and hadn't met before.

        Its own splits are taken where it has some, else all of it; the run's split rule doesn't hold for it.
        """
        reading = read_log(data, elsewhere(self.card, data))
        log = (reading.log if self.repeats else merged(reading.log)[0]).compact()
        if split is not None:
            log = log.at(
                log.given == NAMES.index(split) if log.given is not None else np.zeros(len(log), bool)
            ).compact()
        users, items = self.known.users_of(log.users)[log.user], self.known.items_of(log.items)[log.item]
        before = self.known.seen(None)
        keys = np.repeat(np.arange(before.shape[0]), np.diff(before.indptr)) * before.shape[1] + before.indices
        old = np.isin(users * before.shape[1] + items, keys) & (users >= 0) & (items >= 0)
        fresh = log if self.include_seen else log.at(~old).compact()
        if not len(fresh):
            where = "" if split is None else f" in {split}"
            raise UserError(f"{data} holds no interactions{where} that are new to the run ({len(log):,} are known)")
        if old.any() and not self.include_seen:
            progress.notice(f"{int(old.sum()):,} interactions of {data} are known to the run and are no targets")
        users, starts = np.unique(fresh.user, return_index=True)
        targets = listed(fresh.items, fresh.item, np.append(starts, len(fresh)))
        return self._cases(fresh.users.take(pa.array(users)), targets, None)

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
        only = self._only(users, self._held(part["target"].to_pylist()), seen) if labelled and self.sampled else None
        return self.listed_for(users, seen, only), places, errors

    def masked(self, split: str | None) -> "csr_array":
        """Return what is left out of lists, `[users, items]`: all that came before, or nothing where it may come again."""
        return self.known.seen("train" if self.include_seen else split)

    def _only(self, users: np.ndarray, held: tuple[np.ndarray, np.ndarray], seen: "csr_array") -> "csr_array":
        return ranked.drawn(users, held, seen, self.rankable, self.sampled, self.card.seed)

    def listed_for(self, users: np.ndarray, seen: "csr_array", only: "csr_array | None" = None) -> dict[str, Any]:
        """Return the answer columns of users, given by code; -1 is one that the run doesn't know.

        Args:
            seen: `[users, items]`, what is left out for each.
            only: `[n, items]`, what may be listed for each, or None.
        """
        allowed = self.rankable if self.allowed is None else self.rankable & self.allowed
        codes, scores = np.full((len(users), self.depth), -1, np.int32), np.zeros((len(users), self.depth), np.float32)
        able = self.answerable(users)
        for part, lister in ((able, self._best), (~able, self._popular)):
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
            from horngate.pipelines.recommendation.reasons import nearest_past

            columns["why"] = nearest_past(self, users, codes)
        return columns

    def _best(
        self, users: np.ndarray, seen: "csr_array", allowed: np.ndarray, depth: int, only: "csr_array | None"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lists by the model's own scores, as `ranked.lists` does."""
        return ranked.lists(self._stepped, users, seen, allowed, depth, only)

    def _popular(
        self, users: np.ndarray, seen: "csr_array", allowed: np.ndarray, depth: int, only: "csr_array | None"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lists by popularity, as `ranked.lists` does."""
        counts = self.known.counts
        if only is None:
            return ranked.by_popularity(counts, users, seen, allowed, depth)
        fame = counts.astype(np.float32)
        return ranked.lists(lambda own: np.tile(fame, (len(own), 1)), users, seen, allowed, depth, only)

    def answerable(self, users: np.ndarray) -> np.ndarray:
        """Return bool `[n]`: which users the model itself can answer; the others get what is popular."""
        learnt = self.known.learnt_users
        return (users >= 0) & (learnt | self._featured("user", len(learnt)))[users]

    def _stepped(self, users: np.ndarray) -> np.ndarray:
        """Return the scores of users, always computed in batches of one size, so that they don't depend on neighbours."""
        size = ranked.step(len(self.known.log.items))
        filled = np.concatenate([users, np.repeat(users[:1], size - len(users))])
        return np.array(self.scores(filled)[: len(users)], np.float32)

    def answer_schema(self) -> pa.Schema:
        texts = pa.list_(pa.string())
        fields = [("items", texts), ("scores", pa.list_(pa.float32())), ("fallback", pa.string())]
        return pa.schema([*fields, *([("why", pa.list_(texts))] if self.why else [])])

    def rows(self, outputs: Any) -> dict[str, list]:
        raise NotImplementedError("lists are made of whole blocks, by `said`")

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        from horngate.pipelines.recommendation.door import read_candidates

        if options.get("include_seen") and options.get("exclude_seen"):
            raise UserError("give one of --include-seen and --exclude-seen")
        self.depth = options.get("k") or DEPTH
        self.include_seen, self.why = bool(options.get("include_seen")), bool(options.get("why"))
        if options.get("candidates"):
            self.allowed = read_candidates(options["candidates"], self.card, self.known)
            options["candidates"] += (
                f" ({file_digest(Path(options['candidates']))})"  # a changed list answers otherwise
            )
        self.sampled = options.get("sampled")
        if self.sampled is None:
            return {}
        said = f"{self.sampled} drawn items beside those held out: such scores compare with no full ranking"
        return {"candidates": said}

    # How good is it?

    def outcome(self, answers: pa.Table) -> Ranking:
        lists_ = answers["items"].combine_chunks()
        lists_ = lists_.chunk(0) if isinstance(lists_, pa.ChunkedArray) else lists_
        sizes = np.diff(lists_.offsets.to_numpy())
        codes = np.full((len(sizes), DEPTH), -1, np.int64)
        flat = self.known.items_of(lists_.flatten())
        owner = np.repeat(np.arange(len(sizes)), sizes)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        codes[owner[nth < DEPTH], nth[nth < DEPTH]] = flat[nth < DEPTH]
        held = self._held(answers["target"].to_pylist())
        users, split = self.known.users_of(answers["id"]), answers["split"][0].as_py()
        seen = self.masked(split)
        only = self._only(users, held, seen) if self.sampled else None
        usual, _ = self._popular(users, seen, self.rankable, DEPTH, only)
        popular = ranking.ranking(usual, held, self.bits)
        return replace(ranking.ranking(codes, held, self.bits), popular=popular)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Ranking:
        return ranking.ranking(outputs, self._held(targets), self.bits)

    @property
    def bits(self) -> np.ndarray:
        """float64 `[items]`: what it tells to be shown each item, NaN for those that never are."""
        return np.where(self.rankable, self.known.bits, np.nan)

    def _held(self, targets: list[str]) -> tuple[np.ndarray, np.ndarray]:
        found = [json.loads(target) for target in targets]
        offsets = np.concatenate([[0], np.cumsum([len(names) for names in found])])
        return offsets, self.known.items_of(pa.array([name for names in found for name in names], pa.string()))

    def guess(self, outcome: Ranking) -> Ranking:
        """Say to everyone what is popular."""
        return ranking.by_popularity(outcome)

    def measures(self, outcome: Ranking) -> dict[str, tuple[Any, Any]]:
        return ranking.measures(outcome)

    def details(self, answers: pa.Table, outcome: Ranking) -> dict[str, Any]:
        fallback = answers["fallback"].null_count
        missed = np.flatnonzero(~outcome.hits[:, :10].any(1))
        worst = missed[np.argsort(-outcome.relevant[missed], kind="stable")][:20]
        rows = answers.take(pa.array(worst)).to_pylist()
        return {
            "fallback_users": answers.num_rows - fallback,
            "mistakes": [
                {
                    "id": row["id"],
                    "target": ", ".join(json.loads(row["target"])[:10]),
                    "label": ", ".join(row["items"][:5]),
                    "score": row["scores"][0] if row["scores"] else None,
                }
                for row in rows
            ],
        }

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        from horngate.pipelines.page import ranking as drawn

        return drawn.plots(self.outcome(answers))


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
