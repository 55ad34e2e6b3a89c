"""Entities and other labelled spans in texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding, label_findings
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics import entities
from horngate.pipelines.metrics.entities import Entities
from horngate.pipelines.nlp.classify.task import statistics_of
from horngate.pipelines.nlp.tag.alignment import SHAPES, laid_out, speaking
from horngate.pipelines.nlp.tag.example import SAYING, reading
from horngate.pipelines.nlp.tag.lexicon import Lexicon
from horngate.pipelines.nlp.tag.spans import Span, Tags, parsed, words_of
from horngate.pipelines.nlp.tag.tag_errors import around, mistakes_of
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.nlp.text.encoding import Encoding, Lengths
from horngate.pipelines.nlp.text.plots import token_lengths
from horngate.pipelines.nlp.text.reader import SUFFIXES, Facts, raw_text, seen_in
from horngate.pipelines.report.classification import per_class
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow

if TYPE_CHECKING:
    from horngate.models.text.tagging import Tagger

SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("score", pa.float32())])
NONE = "(no entity)"


class Pipeline(Encoding, RowByRow):
    """`horngate nlp tag`."""

    suffixes = SUFFIXES
    batch_size = 32
    parted = True  # a long text has several windows
    handed_over = ("labels.json", "tokenizer.json")
    views, variation = 1, ""
    finetune_epochs, scratch_epochs, scratch_rate = 5, 30, 2e-3
    mistakes_said = "surest entities that are none, and some that were missed (without a score)"
    tags: Tags
    network: "Tagger"

    def __init__(self, card: Any):
        super().__init__(card)
        self.lengths = Lengths()

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Facts(raw_text(data, self.card.encoding), seen_in(data))

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        names = [self.label_names(target) for target in table["target"].to_pylist()]
        if not any(names):
            return [Finding("error", "no_entity", "no row has a span, so there is nothing to learn", len(names))]
        return [finding for finding in label_findings(names, splits) if finding.code != "one_class"]

    def sort_of(self, target: str) -> str:
        return ", ".join(self.label_names(target)) or NONE

    def label_names(self, target: str) -> list[str]:
        return sorted({span.label for span in parsed(target)}) if target else []

    def spans_of(self, targets: list[str]) -> list[list[Span]]:
        """Return the spans of targets."""
        return [parsed(target) for target in targets]

    def settle(self, facts: list[Facts]) -> None:
        self.schema = self._settled([fact.text for fact in facts])
        self.schema |= {"vocabulary": self.tokens.vocabulary, "shapes": list(SHAPES)}
        self.tokens = tokenizers.Tokens(self.tokens.tokenizer, self.schema["length"], _overlap(self.schema["length"]))

    def begin(self, labelled: bool = True) -> None:
        self.lengths = Lengths()

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> tuple[np.ndarray, ...]:
        """Return int32 `[tokens, 3]` of each window, see `laid_out`."""
        text, length = raw_text(data, self.card.encoding), self.schema["length"]
        windows = self.tokens.windows(text)
        own = [len(window.ids) - sum(window.special_tokens_mask) for window in windows]
        beyond = sum(own[1:]) - (len(own) - 1) * _overlap(length)
        self.lengths.saw(len(windows[0].ids) + beyond, beyond)
        return laid_out(windows, text, words_of(text), self.schema["vocabulary"])

    def ids_of(self, tensor: np.ndarray) -> np.ndarray:
        return tensor[:, 0]

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.pipelines.nlp.tag.learning import TagLadder

        self.tokens.write(run / "tokenizer.json")
        targets = table["target"].to_pylist()
        learnt = self.spans_of([targets[row] for row in np.flatnonzero(splits == "train")])
        self.tags = Tags.of(span.label for spans in learnt for span in spans)
        if len(self.tags.labels) == 1:
            raise UserError("no training row has a span, so there is nothing to learn")
        with device.scope():
            self.network = self.build()
        summary = TagLadder(self, table, splits, fingerprints, run, device).climb()
        self.tags.write(run / "labels.json")
        return summary | {"parameters": int(self.network.answers.count_params())}

    def build(self) -> "Tagger":
        """Return the untrained network, pretrained weights in its encoder where wished."""
        from horngate.models.text.encoders import Marks, token_encoder
        from horngate.models.text.tagging import Tagger, shaped

        backbone = shaped(self._learner(), self.schema["vocabulary"], len(SHAPES))
        encoder = token_encoder(backbone, Marks(self.schema["pad"], self.schema["separator"]))
        return Tagger.around(encoder, len(self.tags.labels), self.schema["pad"], seed=self.card.seed)

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, Any]]:
        """Look up the names that training rows call an entity, by longest match."""
        spans = self.spans_of(table["target"].to_pylist())
        train = np.flatnonzero(splits == "train")
        lexicon = Lexicon([facts[row].text for row in train], [spans[row] for row in train])
        rows = {name: np.flatnonzero(splits == name) for name in ("validation", "test")}
        said = {name: [lexicon.spans(facts[row].text) for row in own] for name, own in rows.items() if len(own)}
        return {"lexicon": said}

    def recall(self, folder: Path) -> None:
        self.tags, self.schema = Tags.read(folder / "labels.json"), read_json(folder / "schema.json")
        length = self.schema["length"]
        self.tokens = tokenizers.opened(folder / "tokenizer.json", length, _overlap(length))

    def load(self, run: Run) -> None:
        from horngate.models.text.tagging import Tagger

        self.network = Tagger.within(self.kept_model(run))
        if self.network.answers.output_shape[-1] != len(self.tags.labels):
            raise UserError(f"{run / 'labels.json'} doesn't belong to {run / 'model.keras'}: another number of labels")

    @property
    def core(self) -> Any:
        return self.network.answers

    def features(self, batch: np.ndarray) -> np.ndarray:
        """Return the mean of each text's token features."""
        there = (batch != self.schema["pad"])[..., None]
        features = np.asarray(self.network.encoder.predict_on_batch(batch))
        return (features * there).sum(1) / np.maximum(there.sum(1), 1)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return statistics_of(raw_text(data, self.card.encoding), len(tensor))

    # What it says.

    def joined(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> list[Span]:
        """Return the spans of a text from the scores of its windows."""
        spoken = [speaking(tensor) for tensor in tensors]
        pairs = zip(spoken, outputs, strict=True)
        return self.tags.merged([(words, scores[places]) for (places, words), scores in pairs])

    def answer_schema(self) -> pa.Schema:
        return pa.schema([("spans", pa.list_(SPAN))])

    def rows(self, outputs: list[list[Span]]) -> dict[str, list]:
        return {"spans": [[span._asdict() for span in spans] for spans in outputs]}

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (0, self.schema["vocabulary"] * len(SHAPES) - 1), "outputs": (0, 1)}

    def example(self) -> str:
        return reading(self.schema["vocabulary"])

    def saying(self) -> str:
        return SAYING

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the label of each token that doesn't fill up."""
        there = outputs.sum(-1) > 0
        return [
            {"tags": [self.tags.labels[place] for place in scores[own].argmax(-1)]}
            for scores, own in zip(outputs, there, strict=True)
        ]

    # How good it is.

    def outcome(self, answers: pa.Table) -> Entities:
        said = [[Span(**entry) for entry in row] for row in answers["spans"].to_pylist()]
        return self.outcome_of(said, answers["target"].to_pylist())

    def outcome_of(self, outputs: Any, targets: list[str]) -> Entities:
        """Return the outcome of spans by row."""
        bare = [[[span.bare for span in row] for row in side] for side in (outputs, self.spans_of(targets))]
        return Entities.counted(*bare)

    def guess(self, outcome: Entities) -> Entities:
        """Answer no entity at all."""
        return outcome.silent()

    def measures(self, outcome: Entities) -> dict[str, tuple[Any, Any]]:
        return entities.measures(self.card.metrics, outcome)

    def details(self, answers: pa.Table, outcome: Entities) -> dict[str, Any]:
        table = entities.per_type(outcome)
        known = [row["f1"] for row in table if row["rows"]]
        unknown = sorted({row["label"] for row in table if row["rows"]} - set(self.tags.types))
        details = {"labels": [row["label"] for row in table], "per_class": table}
        details["macro_f1"] = float(np.mean(known)) if known else None
        if unknown:
            details["unlearnt_labels"] = unknown
        said = [[Span(**entry) for entry in row] for row in answers["spans"].to_pylist()]
        details["mistakes"] = mistakes_of(answers["id"].to_pylist(), said, self.spans_of(answers["target"].to_pylist()))
        return details | self.lengths.told(self.schema["length"], cut=False)

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        table, lengths = report.details["per_class"], report.details.get("tokens")
        found = [per_class(table)] if any(row["f1"] is not None for row in table) else []
        return found + ([token_lengths(lengths)] if lengths else [])

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the texts around the spans in question, these marked."""
        texts = [raw_text(data, self.card.encoding) for data in inputs_of(rows)]
        return [Shown(text=text, marks=around(text, answer)) for text, answer in zip(texts, answers, strict=True)]

    def right(self, answers: pa.Table) -> np.ndarray:
        said, true = answers["spans"].to_pylist(), self.spans_of(answers["target"].to_pylist())
        pairs = zip(said, true, strict=True)
        return np.array([{Span(**part).bare for part in row} == {span.bare for span in spans} for row, spans in pairs])

    def model_card(self) -> dict[str, str]:
        said = f"Spans of {len(self.tags.types)} types ({', '.join(self.tags.types)}), none within another."
        return {"Answers": f"{said} Start and end count the characters of the raw text."} | super().model_card()


def _overlap(length: int) -> int:
    """Return how many tokens two windows of a text have in common."""
    return (length - 2) // 2
