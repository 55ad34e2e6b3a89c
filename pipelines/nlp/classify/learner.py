"""How texts are learnt to be sorted: an encoder of text, and what words alone can do beside it."""

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from horngate.models.network import Network
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.nlp.text.encoders import encoder_of
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.classification.learner import LabelLearner
from horngate.pipelines.tasks.parts import Fitted, LearningData

MOST_FITTED = 50_000  # rows that the baseline is fitted on


class TextLearner(LabelLearner):
    """Learns to sort texts."""

    finetune_epochs = 5

    def build(self, fitted: Fitted) -> Fitted:
        labels = fitted.decisions
        encoder = encoder_of(self.card, fitted)
        network = Network.around(encoder, len(labels.labels), labels.several, dropout=0.1, seed=self.card.seed)
        return fitted.having(model=network)

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        self.task.fitted.lookup.write(run / "tokenizer.json")
        return super().fit(data, run, device)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Outcome]]:
        """Fit a logistic regression on TF-IDF of words and pairs of words, of at most 50,000 training texts."""
        labels, texts = self.task.fitted.decisions, [fact.text for fact in data.facts]
        targets = labels.encode(data.table["target"].to_pylist())
        train = np.random.default_rng(self.card.seed).permutation(data.places("train"))[:MOST_FITTED]
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        try:
            inputs = words.fit_transform([texts[row] for row in train])
        except ValueError:
            return {}  # no words at all
        model = LogisticRegression(C=10.0, max_iter=300)
        model = OneVsRestClassifier(model) if labels.several else model
        model.fit(inputs, targets[train] if labels.several else targets[train].argmax(1))
        known = np.arange(len(labels.labels)) if labels.several else model.classes_

        def score(places: np.ndarray) -> np.ndarray:
            return model.predict_proba(words.transform([texts[row] for row in places]))

        return {"tfidf_linear": self.scored_by(data, known, score)}
