"""NLP: cards of its tasks."""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.spec.card import ClassWeighted, Data, Decision, Optimisation, Refitted, Transfer, knob
from horngate.pipelines.spec.rows import RowSpec


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Knobs of what takes texts through an encoder of tokens."""

    max_length: int | None = knob(None, "Tokens of a text at most; default: what nearly all have.", low=4, high=8192)
    network: Literal["transformer", "lstm"] = knob("transformer", "The small network, where there is no backbone.")


@dataclass(frozen=True, kw_only=True)
class Pooled(Encoded):
    """Knobs of what has one answer for a text."""

    pooling: Literal["auto", "mean", "first"] = knob(
        "auto", "What stands for a text: the mean of its tokens, or the first."
    )


@dataclass(frozen=True, kw_only=True)
class Classify(Pooled, Decision, Refitted, ClassWeighted, Optimisation, Data):
    """Sort texts into classes: one label a text, or several; also pairs of texts."""

    rows = RowSpec(
        input="cell",
        roles={
            "input": ("input", "text", "sentence", "review", "content", "message"),
            "target": ("target", "label", "class", "labels", "category", "intent"),
            "pair": ("pair", "text_pair", "second", "hypothesis"),
        },
        optional=("pair",),
    )
    metrics = ("accuracy", "macro_f1", "log_loss", "ece")
    families = ("TextClassifier",)
    recipes = {
        "tiny": {"data": "sample:docstrings-few", "epochs": 1, "max_length": 32},
        "docstrings": {"data": "sample:docstrings", "epochs": 8},
        "quick": {"method": "probe"},
        "few": {"method": "contrastive", "validation": 0.0},
        "thorough": {"method": "finetune"},
    }
    input_column: str | None = knob(
        None, "Column of texts; default: input, text, sentence, review, content or message."
    )
    target_column: str | None = knob(None, "Column of labels; default: target, label, class, category or intent.")
    pair_column: str | None = knob(None, "Column of a second text; default: pair, text_pair, second or hypothesis.")
    method: Literal["auto", "probe", "contrastive", "lora", "finetune", "scratch"] = knob(
        "auto", "How to learn; auto climbs from probe to finetune; contrastive is for few examples of each class."
    )


@dataclass(frozen=True, kw_only=True)
class Tag(Encoded, Refitted, ClassWeighted, Optimisation, Data):
    """Find entities and other spans in texts, each with its label, as places in the raw text."""

    rows = RowSpec(
        input="cell",
        loader="nlp.tag.loader",
        roles={
            "input": ("input", "text", "sentence", "content", "message"),
            "target": ("target", "spans", "entities", "labels"),
        },
    )
    metrics = ("entity_f1", "entity_precision", "entity_recall")
    families = ("TextClassifier",)
    recipes = {
        "tiny": {"data": "sample:names-few", "epochs": 8, "batch_size": 8, "max_length": 32},
        "names": {"data": "sample:names", "epochs": 8},
        "quick": {"method": "probe"},
        "thorough": {"method": "finetune"},
    }
    input_column: str | None = knob(None, "Column of texts; default: input, text, sentence, content or message.")
    target_column: str | None = knob(
        None, "Column of spans (lists of start, end, label); default: target, spans, entities or labels."
    )
    max_length: int | None = knob(
        None, "Tokens of a window; longer texts get several. Default: what nearly all have.", low=8, high=8192
    )


@dataclass(frozen=True, kw_only=True)
class Similar(Pooled, Transfer, Optimisation, Data):
    """Embed texts so that what means the same lies close together, and search them."""

    rows = RowSpec(
        input="cell",
        roles={
            "input": ("input", "text", "sentence1", "sentence_1", "sentence", "anchor", "query", "question"),
            "pair": ("pair", "text_pair", "sentence2", "sentence_2", "second", "positive", "answer"),
            "target": ("target", "score", "similarity", "similarity_score"),
        },
        optional=("pair", "target"),
        truth=("pair", "target"),
    )
    retired = {"class_weights": "none", "refit": False}
    metrics = ("spearman", "pearson", "mrr", "recall_at_1")
    families = ("TextClassifier",)
    recipes = {
        "tiny": {"data": "sample:sentence-pairs", "epochs": 1, "max_length": 32},
        "sentence-pairs": {"data": "sample:sentence-pairs"},
        "quick": {"method": "probe"},
        "thorough": {"method": "finetune"},
    }
    input_column: str | None = knob(
        None, "Column of texts; default: input, text, sentence1, anchor, query or question."
    )
    pair_column: str | None = knob(
        None, "Column of second texts; default: pair, sentence2, second, positive or answer."
    )
    target_column: str | None = knob(
        None, "Column of the scores of pairs, higher for more alike; default: target, score or similarity, or none."
    )
