"""How a tagger learns: words are classified, and entities are what is compared and kept."""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from horngate.models.text.encoders import Marks, token_encoder
from horngate.models.text.tagging import Tagger, shaped
from horngate.pipelines.metrics.entities import Entities
from horngate.pipelines.nlp.tag.alignment import SHAPES
from horngate.pipelines.nlp.tag.evaluator import entities_of
from horngate.pipelines.nlp.tag.rows import TaggedRows
from horngate.pipelines.nlp.tag.spans import Span, Tags, spans_of, words_of
from horngate.pipelines.nlp.text.encoders import backbone_of
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.classification.learner import LabelLearner
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.training.transfer import HISTORY, TransferLearning

LEAST = 0.5  # share of a name's places in the training texts that are an entity, for it to be kept


class TagLearner(LabelLearner):
    """Learns to tag."""

    finetune_epochs = 5

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        self.task.fitted.lookup.write(run / "tokenizer.json")
        learnt = spans_of(data.rows("train")["target"].to_pylist())
        tags = Tags.of(span.label for spans in learnt for span in spans)
        if len(tags.labels) == 1:
            raise UserError("no training row has a span, so there is nothing to learn")
        files = ("labels.json", *self.task.fitted.files)
        with device.scope():
            fitted = self.build(self.task.fitted.having(decisions=tags, files=files))
        fitted, summary = TagTransfer(self, self.task.with_fitted(fitted), data, run, device).learn()
        tags.write(run / "labels.json")
        return fitted, summary | {"parameters": int(fitted.model.answers.count_params())}

    def build(self, fitted: Fitted) -> Fitted:
        schema = fitted.schema
        backbone = shaped(backbone_of(self.card, fitted), schema["vocabulary"], len(SHAPES))
        encoder = token_encoder(backbone, Marks(schema["pad"], schema["separator"]))
        tagger = Tagger.around(encoder, len(fitted.decisions.labels), schema["pad"], seed=self.card.seed)
        return fitted.having(model=tagger)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Entities]]:
        """Look up the names that training rows call an entity, by longest match."""
        targets, facts = data.table["target"].to_pylist(), data.facts
        spans, train = spans_of(targets), data.places("train")
        lexicon = Lexicon([facts[row].text for row in train], [spans[row] for row in train])
        found = {}
        for split, places in data.held_out.items():
            said = [lexicon.spans(facts[row].text) for row in places]
            found[split] = entities_of(said, [targets[row] for row in places])
        return {"lexicon": found}


class TagTransfer(TransferLearning):
    """Transfer learning of a tagger: the probe classifies words, and what is compared and kept are entities."""

    several = False
    columns = (*HISTORY[:-1], "mislabelled", "val_mislabelled", HISTORY[-1])

    def _encoded(self, targets: list[str | None]) -> list[list[Span]]:
        return spans_of(targets)

    def _read_rows(self, split: str) -> TaggedRows:
        if split == "train":
            self._tagged(split).balance = self._balance()
        return self._tagged(split)

    def _tagged(self, split: str) -> TaggedRows:
        if split not in self.tagged:
            spans = [self.targets[row] for row in self.rows[split]]
            self.tagged[split] = TaggedRows(self.task, self.data.rows(split), spans)
        return self.tagged[split]

    @cached_property
    def tagged(self) -> dict[str, TaggedRows]:
        """The rows of each split that were read."""
        return {}

    def _features(self, split: str, views: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return features, one-hot targets and weights of all words of a split."""
        rows, balance = self._tagged(split), self._balance()
        tagged = np.concatenate([np.zeros(0, np.int32), *rows.tagged])
        targets = np.eye(len(self.fitted.decisions.labels), dtype=np.float32)[tagged]
        return self._joined(split, views, rows.total), targets, None if balance is None else balance[tagged]

    def _fill(self, split: str, view: int, forward: Callable, out: np.ndarray, done: Callable) -> None:
        rows = self._tagged(split)
        for window, features in rows.outputs(forward, done):
            out[rows.starts[window] : rows.starts[window] + len(features)] = features

    def _balance(self) -> np.ndarray | None:
        """Return float32 `[labels]` weights that give every label the same sum over the training words, if wished."""
        if self.card.class_weights == "none":
            return None
        count = len(self.fitted.decisions.labels)
        words = np.bincount(np.concatenate(self._tagged("train").tagged), minlength=count)
        return (words.sum() / (np.maximum(words, 1) * (words > 0).sum())).astype(np.float32)

    def _validation(self) -> Entities:
        """Return the outcome of the network, as it stands, on the validation rows."""
        rows, forward = self._tagged("validation"), self.network.answers.predict_on_batch
        parts: list[list[tuple]] = [[] for _ in self.rows["validation"]]
        with progress.job("answers on validation", rows.count) as done:
            for window, scores in rows.outputs(forward, done):
                parts[rows.owners[window]].append((rows.words[window], scores))
        said = [self.fitted.decisions.merged(own) for own in parts]
        return entities_of(said, self.data.rows("validation")["target"].to_pylist())

    def _decide(self) -> dict[str, Any]:
        return {}


class Lexicon:
    """Names from labelled texts, found by longest match (the baseline of Tjong Kim Sang & De Meulder 2003).

    A name's score is the share of its places in the training texts that had its label.
    """

    def __init__(self, texts: list[str], spans: list[list[Span]]):
        called: dict[tuple[str, ...], Counter] = defaultdict(Counter)
        for text, found in zip(texts, spans, strict=True):
            for span in found:
                piece = text[span.start : span.end]
                called[tuple(piece[start:end] for start, end in words_of(piece))][span.label] += 1
        self.longest = max(map(len, called), default=0)
        self.known = {name: (labels.most_common(1)[0][0], 1.0) for name, labels in called.items() if name}
        seen = Counter(name for text in texts for name, _, _ in self._matches(text))
        best = {name: labels.most_common(1)[0] for name, labels in called.items() if name}
        shares = {name: (label, min(count / max(seen[name], 1), 1.0)) for name, (label, count) in best.items()}
        self.known = {name: said for name, said in shares.items() if said[1] >= LEAST}

    def spans(self, text: str) -> list[Span]:
        """Return the spans of known names in a text."""
        return [Span(start, end, *self.known[name]) for name, start, end in self._matches(text)]

    def _matches(self, text: str) -> list[tuple[tuple[str, ...], int, int]]:
        words = words_of(text)
        signs = [text[start:end] for start, end in words]
        found, place = [], 0
        while place < len(words):
            for size in range(min(self.longest, len(words) - place), 0, -1):
                name = tuple(signs[place : place + size])
                if name in self.known:
                    found.append((name, words[place][0], words[place + size - 1][1]))
                    place += size - 1
                    break
            place += 1
        return found
