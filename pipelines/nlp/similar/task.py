"""Texts into embeddings: what means the same lies close together."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics import similarity
from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.nlp.similar import plots as drawn
from horngate.pipelines.nlp.similar.pairs import Facts, float_of, inspected_pair, one_or_two, similarities
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.encoding import Encoding, Lengths
from horngate.pipelines.nlp.text.lengths import token_lengths
from horngate.pipelines.nlp.text.reader import statistics_of
from horngate.pipelines.nlp.text.texts import SUFFIXES
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow

if TYPE_CHECKING:
    import keras

SURPRISES = 20  # in a report
MOST_FITTED = 50_000  # rows that the reference is fitted on


class Pipeline(Encoding, RowByRow):
    """`horngate nlp similar`."""

    suffixes = SUFFIXES
    batch_size = 32
    parted = True
    handed_over = ("tokenizer.json",)
    mistakes_title = "Most surprising pairs"
    mistakes_said = "pairs whose similarity is farthest from what it should be"
    answers: "keras.Model"

    def __init__(self, card: Any):
        super().__init__(card)
        self.lengths = Lengths()
        self.reading = "either"  # of one text and two: `either`, `both` or the `first` alone

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return inspected_pair(data, self.card.encoding)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        ids, targets = table["id"].to_pylist(), table["target"].to_pylist()
        bad = [row for row, target in enumerate(targets) if target is not None and float_of(target) is None]
        if bad:
            message = f"{len(bad)} scores are no numbers (first: {ids[bad[0]]}, {targets[bad[0]]!r})"
            return [Finding("error", "no_number", message, len(bad), tuple(ids[row] for row in bad[:5]))]
        if any(target is not None for target in targets) and len(set(targets)) < 2:
            return [Finding("error", "one_score", f"all pairs have the score {targets[0]}", len(targets))]
        return []

    def settle(self, facts: list[Facts]) -> None:
        self.schema = self._settled([text for fact in facts for text in (fact.first, fact.second)])

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.pipelines.nlp.similar.learning import PairTraining

        self.tokens.write(run / "tokenizer.json")
        with device.scope():
            self.answers = self.build()
            training = PairTraining(self, table, splits, run)
            summary = training.climb()
        self.untrained = training.untrained
        return summary | {"parameters": int(self.answers.count_params())}

    def build(self) -> "keras.Model":
        """Return the untrained network: an encoder, pretrained where wished, whose features are scaled to length 1."""
        from horngate.models.text.embedding import embedder

        return embedder(self._encoder())

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        self.tokens = tokenizers.opened(folder / "tokenizer.json", self.schema["length"])

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)

    @property
    def core(self) -> "keras.Model":
        return self.answers

    def begin(self, labelled: bool = True) -> None:
        self.reading, self.lengths = "both" if labelled else "first", Lengths()

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> tuple[np.ndarray, ...]:
        """Return the token ids of each text of a row: one, or two."""
        texts = [text for text in one_or_two(data, self.card.encoding) if text is not None]
        if self.reading == "both" and len(texts) < 2:
            raise Unreadable("no second text, so there is no similarity to measure")
        return tuple(map(self._ids, texts[: 1 if self.reading == "first" else 2]))

    def _ids(self, text: str) -> np.ndarray:
        ids, cut = self.tokens.ids(text)
        self.lengths.saw(len(ids) + cut, cut)
        return ids

    def joined(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> np.ndarray:
        first, *rest = outputs
        return np.stack([first, rest[0] if rest else np.full_like(first, np.nan)])

    def answer_schema(self) -> pa.Schema:
        return pa.schema([("embedding", pa.list_(pa.float32()))])

    def measured_schema(self) -> pa.Schema:
        return pa.schema([("similarity", pa.float32()), ("pair_embedding", pa.list_(pa.float32()))])

    def rows(self, outputs: list[np.ndarray]) -> dict[str, Any]:
        """Return the columns of outputs float32 `[2, d]`, one each row, NaN where it has no second text."""
        first, second = np.stack(outputs, 1)
        alone = np.isnan(second[:, 0])
        similar = pa.array((first * second).sum(1), pa.float32(), mask=alone)
        return {"embedding": list(first), "similarity": similar, "pair_embedding": list(second)}

    # Which training rows: those of the reference and of the drift.

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Return the untrained encoder, and the cosine of TF-IDF weights of words (Salton & Buckley 1988)."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        train = np.flatnonzero(splits == "train")
        train = np.random.default_rng(self.card.seed).permutation(train)[:MOST_FITTED]
        words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        found = {"untrained_encoder": self.untrained} if self.untrained else {}
        try:
            words.fit([text for row in train for text in (facts[row].first, facts[row].second)])
        except ValueError:
            return found  # no words at all
        scored, by_split = table["target"].null_count < table.num_rows, {}
        for split in (name for name in ("validation", "test") if (splits == name).any()):
            own = [facts[row] for row in np.flatnonzero(splits == split)]
            both = (words.transform([getattr(fact, side) for fact in own]) for side in ("first", "second"))
            by_split[split] = similarities(*both, scored)
        return found | {"tfidf_cosine": by_split}

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        text, _ = one_or_two(data, self.card.encoding)
        return statistics_of(text, len(tensor))

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.answers.predict_on_batch(batch))

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.tokens.vocabulary - 1), "outputs": (-1, 1)}

    # How good is it?

    def outcome(self, answers: pa.Table) -> Outcome:
        targets = answers["target"].to_pylist()
        if any(target is not None for target in targets):
            return Outcome(answers["similarity"].to_numpy().astype(np.float64), self._scores(answers["id"], targets))
        sides = [answers[name].combine_chunks() for name in ("embedding", "pair_embedding")]
        first, second = (side.flatten().to_numpy().reshape(len(targets), -1) for side in sides)
        return self.outcome_of(similarities(first, second, scored=False), targets)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Outcome:
        if any(target is not None for target in targets):
            return Outcome(outputs[:, 0], self._scores(None, targets))
        return Outcome(outputs[:, 0], None, outputs[:, 1], outputs[:, 2], len(outputs))

    def _scores(self, ids: Any, targets: list[str | None]) -> np.ndarray:
        values = [None if target is None else float_of(target) for target in targets]
        bad = next((row for row, value in enumerate(values) if value is None), None)
        if bad is not None:
            name = "" if ids is None else f" of {ids[bad].as_py()}"
            raise UserError(f"the score{name} should be a number. Received: {targets[bad]}")
        return np.array(values, np.float64)

    def guess(self, outcome: Outcome) -> Outcome:
        """Say one similarity of all pairs."""
        return similarity.by_chance(outcome)

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return similarity.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        ids = answers["id"].to_pylist()
        if outcome.targets is not None:
            ones = np.ones(len(ids))
            ranks = [similarity.ranked(values)(ones) for values in (outcome.scores, outcome.targets)]
            surprise, said = np.abs(ranks[0] - ranks[1]), [f"score {target:g}" for target in outcome.targets]
        else:
            surprise = 1 - outcome.reciprocal
            said = [f"place {1 / share:.0f} of {outcome.candidates:,}" for share in outcome.reciprocal]
        rows = [row for row in np.argsort(-surprise, kind="stable")[:SURPRISES] if surprise[row] > 0]
        mean = {"mean_similarity": float(outcome.scores.mean()), "candidates": outcome.candidates or None}
        listed = [
            {"id": ids[row], "target": said[row], "label": "similarity", "score": float(outcome.scores[row])}
            for row in rows
        ]
        return mean | {"mistakes": listed} | self.lengths.told(self.schema["length"], cut=True)

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = report.details.get("tokens")
        return drawn.plots(self.outcome(answers)) + ([token_lengths(found)] if found else [])

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return both texts."""
        pairs = [one_or_two(data, self.card.encoding) for data in inputs_of(rows)]
        return [Shown(text=" | ".join(part for part in pair if part)) for pair in pairs]

    def model_card(self) -> dict[str, str]:
        said = (
            "An embedding of length 1 for each text. The cosine of two (the sum of their products) says how alike they "
        )
        said += "are, in the sense of the pairs that were learnt from; it is no probability, and only its order is measured."
        return {"Answers": said} | super().model_card()
