"""Texts into classes."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.nlp.classify.occlusion import carrying, marked
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.encoding import Encoding, Lengths
from horngate.pipelines.nlp.text.plots import token_lengths
from horngate.pipelines.nlp.text.reader import SUFFIXES, Facts, inspected, texts_of
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.classifier import Classifier
from horngate.pipelines.tasks.labels import Labels

if TYPE_CHECKING:
    from horngate.models.network import Network

EXPLAINED = 10  # mistakes whose words are weighed
MOST_FITTED = 50_000  # rows that the reference is fitted on


class Pipeline(Encoding, Classifier):
    """`horngate nlp classify`."""

    suffixes = SUFFIXES
    batch_size = 32
    handed_over = ("labels.json", "tokenizer.json")
    finetune_epochs = 5

    def __init__(self, card: Any):
        super().__init__(card)
        self.lengths = Lengths()

    @property
    def paired(self) -> bool:
        """Whether a row is a pair of texts."""
        return bool(self.schema.get("paired")) or self.card.pair_column is not None

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return inspected(data, self.paired, self.card.encoding)

    def settle(self, facts: list[Facts]) -> None:
        self.schema = self._settled([fact.text for fact in facts]) | {"paired": self.paired}

    def build(self, labels: Labels) -> "Network":
        from horngate.models.network import Network

        return Network.around(self._encoder(), len(labels.labels), labels.several, dropout=0.1, seed=self.card.seed)

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        self.tokens.write(run / "tokenizer.json")
        return super().fit(table, splits, fingerprints, run, device)

    def recall(self, folder: Path) -> None:
        super().recall(folder)
        self.tokens = tokenizers.opened(folder / "tokenizer.json", self.schema["length"])

    def begin(self, labelled: bool = True) -> None:
        self.lengths = Lengths()

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        ids, cut = self.tokens.ids(*texts_of(data, self.schema["paired"], self.card.encoding))
        self.lengths.saw(len(ids) + cut, cut)
        return ids

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        text = " ".join(part for part in texts_of(data, self.schema["paired"], self.card.encoding) if part)
        return statistics_of(text, len(tensor))

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Fit a logistic regression on TF-IDF of words and pairs of words, of at most 50,000 training texts."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        targets = self.labels.encode(table["target"].to_pylist())
        train = np.flatnonzero(splits == "train")
        train = np.random.default_rng(self.card.seed).permutation(train)[:MOST_FITTED]
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        try:
            inputs = words.fit_transform([facts[row].text for row in train])
        except ValueError:
            return {}  # no words at all
        model = LogisticRegression(C=10.0, max_iter=300)
        model = OneVsRestClassifier(model) if self.labels.several else model
        model.fit(inputs, targets[train] if self.labels.several else targets[train].argmax(1))
        return {"tfidf_linear": {split: self._scored(model, words, facts, splits == split) for split in _held(splits)}}

    def _scored(self, model: Any, words: Any, facts: list[Facts], chosen: np.ndarray) -> np.ndarray:
        """Return a reference's scores in the order of all labels; a class that it never saw gets 0."""
        rows = np.flatnonzero(chosen)
        scores = np.zeros((len(rows), len(self.labels.labels)), np.float32)
        known = np.arange(scores.shape[1]) if self.labels.several else model.classes_
        scores[:, known] = model.predict_proba(words.transform([facts[row].text for row in rows]))
        return scores

    def details(self, answers: pa.Table, outcome: Any) -> dict[str, Any]:
        return super().details(answers, outcome) | self.lengths.told(self.schema["length"], cut=True)

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        found = report.details.get("tokens")
        return super().plots(answers, report) + ([token_lengths(found)] if found else [])

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the texts; of the first ones, where the model is open, with the words that carry the answer."""
        paired, encoding = self.schema["paired"], self.card.encoding
        parts = [texts_of(data, paired, encoding) for data in inputs_of(rows)]
        found = [Shown(text=" | ".join(part for part in pair if part)) for pair in parts]
        if not paired and hasattr(self, "network"):
            for place, ((text, _), answer) in enumerate(zip(parts[:EXPLAINED], answers, strict=False)):
                words = carrying(text, partial(self._score_of, answer["label"]))
                found[place] = Shown(text=text, marks=tuple(marked(words)))
        return found

    def _score_of(self, label: str, texts: list[str]) -> np.ndarray:
        """Return the score of one label for texts, float32 `[n]`."""
        tensors = [self.tokens.ids(text)[0] for text in texts]
        steps = range(0, len(tensors), self.batch_size)
        parts = [self.stacked(tensors[at : at + self.batch_size], self.batch_size) for at in steps]
        scores = np.concatenate([np.asarray(self.core.predict_on_batch(part)) for part in parts])[: len(texts)]
        return scores[:, self.labels.labels.index(label)]

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.tokens.vocabulary - 1), "outputs": (0, 1)}


def _held(splits: np.ndarray) -> list[str]:
    return [name for name in ("validation", "test") if (splits == name).any()]


def statistics_of(text: str, count: int) -> dict[str, float]:
    """Return what may drift in a text of so many tokens."""
    words = text.split()
    return {
        "tokens": float(count),
        "words": float(len(words)),
        "letters a word": float(np.mean([len(word) for word in words])),
        "capitals": sum(sign.isupper() for sign in text) / len(text),
        "digits": sum(sign.isdigit() for sign in text) / len(text),
        "not ASCII": sum(ord(sign) > 127 for sign in text) / len(text),
    }
