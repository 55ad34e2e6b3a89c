"""Spans: labelled pieces of a text, as JSON in a row's target, as BIO labels of its words, and back."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, write_json

# Scripts without blanks between words: each sign is a word of its own.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
OUTSIDE = "O"
LEAST = 1e-7  # scores are float32: smaller ones count as this


class Span(NamedTuple):
    """Characters `start` to `end` (not included) of a text, their label, and how sure it is."""

    start: int
    end: int
    label: str
    score: float = 1.0

    @property
    def bare(self) -> tuple[int, int, str]:
        return self[:3]


class BadSpans(ValueError):
    """Spans that don't fit their text; one line that says why."""


def words_of(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of the words of a text: runs of letters and digits, and every other sign by itself."""
    return [found.span() for found in WORD.finditer(text)]


def written(spans: Iterable[Span]) -> str:
    """Return spans as the text that a row's target is: JSON, sorted by place."""
    return json.dumps(
        [{"start": span.start, "end": span.end, "label": span.label} for span in sorted(spans)], ensure_ascii=False
    )


def parsed(target: str) -> list[Span]:
    """Return the spans of a target, sorted by place.

    Raises:
        BadSpans: no JSON list of objects with `start`, `end` and `label`, or of lists of the three.
    """
    try:
        found = [_span(entry) for entry in json.loads(target)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadSpans("spans should be a list of objects with start, end and label") from None
    return sorted(found)


def _span(entry: Any) -> Span:
    start, end, label = (entry["start"], entry["end"], entry["label"]) if isinstance(entry, dict) else entry
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        raise TypeError
    return Span(start, end, label.strip())


def fitting(spans: list[Span], text: str) -> list[Span]:
    """Return sorted spans, if they fit a text.

    Raises:
        BadSpans: one is empty, outside the text, without a label, or overlaps another.
    """
    before = 0
    for span in spans:
        where = f"{span.start} to {span.end}"
        if span.start >= span.end:
            raise BadSpans(f"an empty span: {where}")
        if span.start < 0 or span.end > len(text):
            raise BadSpans(f"a span outside the text: {where} of {len(text)} characters")
        if not span.label:
            raise BadSpans(f"a span without a label: {where}")
        if span.start < before:
            raise BadSpans(f"spans that overlap: one begins at {span.start}, the one before ends at {before}")
        before = span.end
    return spans


def of_tags(tags: list[str], words: list[tuple[int, int]]) -> tuple[list[Span], int]:
    """Return the spans that BIO tags mean (Ramshaw & Marcus 1995), and how many began with I- and were read as B-.

    Args:
        words: (start, end) of the word of each tag.

    Raises:
        BadSpans: a tag that is neither O nor B- or I- with a label.
    """
    spans: list[Span] = []
    open_label, repaired = None, 0
    for tag, (start, end) in zip(tags, words, strict=True):
        kind, _, label = tag.partition("-")
        if tag == OUTSIDE:
            open_label = None
            continue
        if kind not in ("B", "I") or not label:
            raise BadSpans(f'a tag that is no BIO: "{tag}"')
        if kind == "I" and label == open_label:
            spans[-1] = spans[-1]._replace(end=end)
            continue
        repaired += kind == "I"
        spans.append(Span(start, end, label))
        open_label = label
    return spans, repaired


@dataclass(frozen=True)
class Tags:
    """The labels of a tagger: BIO over its types, in the order of its scores.

    Attributes:
        labels: `O`, then `B-` and `I-` of each type, sorted.
    """

    labels: tuple[str, ...]

    @classmethod
    def of(cls, types: Iterable[str]) -> "Tags":
        return cls((OUTSIDE, *(f"{part}-{name}" for name in sorted(set(types)) for part in "BI")))

    @property
    def types(self) -> list[str]:
        return [label[2:] for label in self.labels[1::2]]

    def encode(self, spans: list[Span], words: list[tuple[int, int]]) -> np.ndarray:
        """Return int32 `[words]`: the place of each word's label; a word belongs to a span that it shares a sign with."""
        places = {name: 1 + 2 * place for place, name in enumerate(self.types)}
        found, ends = np.zeros(len(words), np.int32), [span.end for span in spans]
        last = -1
        for number, (start, end) in enumerate(words):
            place = bisect_right(ends, start)
            if place < len(spans) and spans[place].start < end and spans[place].label in places:
                found[number] = places[spans[place].label] + (place == last)
                last = place
        return found

    def decode(self, scores: np.ndarray, words: list[tuple[int, int]]) -> list[Span]:
        """Return the spans of scores `[words, labels]`; a span's score is the mean of its type's over its words."""
        spans, sums, types = [], [], self.types
        for row, place in enumerate(self.likeliest(scores)):
            if place == 0:
                continue
            number = (place - 1) // 2
            said = float(scores[row, 1 + 2 * number] + scores[row, 2 + 2 * number])
            if place % 2:
                spans.append(Span(*words[row], types[number]))
                sums.append([said])
            else:
                spans[-1] = spans[-1]._replace(end=words[row][1])
                sums[-1].append(said)
        return [span._replace(score=min(float(np.mean(part)), 1.0)) for span, part in zip(spans, sums, strict=True)]

    def merged(self, windows: list[tuple[list[tuple[int, int]], np.ndarray]]) -> list[Span]:
        """Return the spans of a text from the words that each of its windows speaks for, and their scores."""
        words = [word for own, _ in windows for word in own]
        scores = np.concatenate([part for _, part in windows])
        order = sorted(range(len(words)), key=words.__getitem__)
        return self.decode(scores[order], [words[place] for place in order])

    def likeliest(self, scores: np.ndarray) -> list[int]:
        """Return the labels of the likeliest sequence in which every I- follows a B- or I- of its type (Viterbi 1967).

        Args:
            scores: float `[words, labels]`, taken as independent from word to word.
        """
        places = np.arange(len(self.labels))
        inside = (places % 2 == 0) & (places > 0)
        total, back = np.where(inside, -np.inf, 0.0), []  # of the best sequence that ends in each label
        for number, row in enumerate(np.log(np.maximum(scores, LEAST))):
            if number:
                own = places - (np.roll(total, 1) > total)  # of an I-: itself, or the B- that stands before it
                back.append(np.where(inside, own, total.argmax()))
                total = total[back[-1]]
            total = total + row
        path = [int(total.argmax())] if len(scores) else []
        for before in reversed(back):
            path.append(int(before[path[-1]]))
        return path[::-1]

    def write(self, path: Path) -> None:
        """Write `labels.json`."""
        write_json(path, {"labels": list(self.labels)})

    @classmethod
    def read(cls, path: Path) -> "Tags":
        """Read `labels.json`.

        Raises:
            UserError: it doesn't hold BIO labels.
        """
        values = read_json(path)
        try:
            labels = tuple(values["labels"])
            if labels != cls.of(label[2:] for label in labels[1:]).labels:
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise UserError(f"{path} is damaged: it doesn't hold BIO labels") from None
        return cls(labels)


def labels_of(target: str | None) -> list[str]:
    """Return the labels of the spans in a target, sorted."""
    return sorted({span.label for span in parsed(target)}) if target else []


def spans_of(targets: list[str]) -> list[list[Span]]:
    """Return the spans of targets."""
    return [parsed(target) for target in targets]
