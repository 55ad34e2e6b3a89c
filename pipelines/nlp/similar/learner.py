"""How an embedder learns from pairs: which method, on which rows, and what is kept of it."""

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from horngate.models.text.embedding import PairConfig, embedder, learn_pairs
from horngate.models.training import checkpoint
from horngate.models.training.lora import merged
from horngate.pipelines.data.reading import content
from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.nlp.similar.evaluator import outcome_of
from horngate.pipelines.nlp.similar.pairs import (
    TokenisedPairs,
    embedded,
    float_of,
    numbered,
    one_or_two,
    similarities,
)
from horngate.pipelines.nlp.text.encoders import encoder_of
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

MOST_FITTED = 50_000  # rows that the baseline is fitted on


class PairLearner:
    """Learns to embed: an encoder, pretrained where wished, whose features are scaled to length 1."""

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        self.task.fitted.lookup.write(run / "tokenizer.json")
        with device.scope():
            network = embedder(encoder_of(self.card, self.task.fitted))
            begun = self.task.with_fitted(self.task.fitted.having(model=network))
            fitted, summary = PairTraining(begun, data, run).learn()
        return fitted, summary | {"parameters": int(fitted.model.count_params())}

    def baselines(self, data: LearningData) -> dict[str, dict[str, Outcome]]:
        """Take the cosine of TF-IDF weights of words (Salton & Buckley 1988), of at most 50,000 training rows."""
        facts = data.facts
        train = np.random.default_rng(self.card.seed).permutation(data.places("train"))[:MOST_FITTED]
        words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        try:
            words.fit([text for row in train for text in (facts[row].first, facts[row].second)])
        except ValueError:
            return {}  # no words at all
        found = {}
        for split, places in data.held_out.items():
            both = (words.transform([getattr(facts[row], side) for row in places]) for side in ("first", "second"))
            targets = data.rows(split)["target"].to_pylist()
            found[split] = outcome_of(similarities(*both, scored(data)), targets)
        return {"tfidf_cosine": found}


class PairTraining(PhaseRunner):
    """One training of an embedder.

    Args:
        task: with its untrained network.
        run: where it is kept.

    Attributes:
        untrained: the outcome of the encoder before it learnt, by split; empty where it learns nothing.
    """

    def __init__(self, task: Task, data: LearningData, run: Run):
        super().__init__(task, run)
        self.data, self.scored, self.network = data, scored(data), task.fitted.model
        self.untrained: dict[str, Outcome] = {}

    def learn(self) -> tuple[Fitted, dict[str, Any]]:
        """Learn by the card's method and save the model; return what was found, and the summary."""
        method = self._method()
        kept, why = method, "asked for"
        if method == "probe":
            progress.notice("method probe: the encoder is taken as it is; nothing is learnt")
        else:
            phase = "finetune" if method == "auto" else method
            before = checkpoint.values_of(self.network.weights)
            with self.timed(phase):
                self._learn(phase)
            if phase == "lora":
                self.network = merged(self.network)
            why = "asked for" if self.card.method == method else "no pretrained weights"
            if method == "auto":
                kept, why = self._compared(before)
        learnt_from = "scores of pairs (CoSENT)" if self.scored else "pairs alone (multiple negatives ranking)"
        learnt_from = "nothing: the encoder as it is" if kept == "probe" else learnt_from
        summary = self.finish(self.network, kept, why, learnt_from=learnt_from)
        baselines = {"untrained_encoder": self.untrained} if self.untrained else {}
        return self.task.fitted.having(model=self.network), summary | {"baselines": baselines}

    def _method(self) -> str:
        method = self.card.method
        if self.card.backbone is not None and self.card.weights != "none":
            return method
        if method in ("probe", "lora", "finetune"):
            raise UserError(f"--method {method} needs pretrained weights: name a --backbone, or use scratch")
        return "scratch"

    def _learn(self, phase: str) -> None:
        for split in self.data.held_out:
            self.untrained[split] = self._outcome(split, "answers of the untrained encoder")
        card = self.card
        config = PairConfig(phase, self.scored, card.seed, card.epochs, card.batch_size, card.learning_rate)
        train, held = self._pairs("train"), self._pairs("validation")
        with self.monitor() as policy:
            self.history += learn_pairs(self.network, train, held, config, policy)

    def _pairs(self, split: str) -> TokenisedPairs:
        table = self.data.rows(split)
        if self.scored:
            targets = np.array([[float_of(target)] for target in table["target"].to_pylist()], np.float32)
        else:
            inputs = zip(table["input"].to_pylist(), table["value"].to_pylist(), strict=True)
            targets = _numbers(inputs, self.card.encoding)
        return TokenisedPairs(self.task.reader, table, targets.reshape(table.num_rows, -1))

    def _outcome(self, split: str, label: str) -> Outcome:
        """Return how the network, as it stands, answers the rows of a split."""
        pairs = self._pairs(split)
        both = np.split(embedded(self.task, pairs.firsts + pairs.seconds, label), 2)
        return outcome_of(similarities(*both, self.scored), self.data.rows(split)["target"].to_pylist())

    def _compared(self, before: list[np.ndarray]) -> tuple[str, str]:
        """Keep the encoder as it was unless the trained one is better on validation beyond its interval."""
        if not len(self.data.places("validation")):
            return self.better(self.network, before, ((), ()), [], "probe")
        groups = self.data.rows("validation")["group"].to_pylist()
        outcomes = (self.untrained["validation"], self._outcome("validation", "answers on validation"))
        kept, why = self.better(self.network, before, outcomes, groups, "probe")
        if kept == "probe":
            self.untrained = {}
        return kept, why


def scored(data: LearningData) -> bool:
    """Return whether pairs have scores."""
    return data.table["target"].null_count < data.table.num_rows


def _numbers(inputs: Any, encoding: str) -> np.ndarray:
    """Return float32 `[n, 2]`: numbers of both texts of each row, equal for equal texts."""
    pairs = [one_or_two(content(*row), encoding) for row in inputs]
    return np.stack([numbered([pair[side] for pair in pairs]) for side in (0, 1)], axis=1)
