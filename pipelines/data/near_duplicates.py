"""Near-duplicates of texts: candidates share rare runs of words, and are confirmed on all their words."""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator

RUN = 3  # words
KEPT = 8  # runs of a text that candidates are looked for by: those with the lowest hashes (Broder 1997)
MOST_SHARING = 60  # texts; a run that more share says nothing
LIKE = 0.8  # share of the words of both that they have in common


def near_pairs(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose texts are the same but for case, punctuation and at most a fifth of the words."""
    words = [_words(text) for text in texts]
    whole: dict[tuple[str, ...], int] = {}
    sharing: dict[int, list[int]] = defaultdict(list)
    for row, found in enumerate(words):
        first = whole.setdefault(found, row)
        if first != row:
            yield first, row  # equal once case and punctuation are set aside
            continue
        runs = {zlib.crc32(" ".join(found[at : at + RUN]).encode()) for at in range(len(found) - RUN + 1)}
        for run in sorted(runs)[:KEPT]:
            sharing[run].append(row)
    counts: dict[int, Counter] = {}
    for left, right in sorted(_candidates(sharing)):
        for row in (left, right):
            counts.setdefault(row, Counter(words[row]))
        if _alike(counts[left], counts[right]):
            yield left, right


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold())) or (text.strip(),)


def _candidates(sharing: dict[int, list[int]]) -> set[tuple[int, int]]:
    pairs = set()
    for rows in sharing.values():
        if len(rows) <= MOST_SHARING:
            pairs.update((left, right) for place, left in enumerate(rows) for right in rows[place + 1 :])
    return pairs


def _alike(left: Counter, right: Counter) -> bool:
    shared = (left & right).total()
    return shared >= LIKE * (left | right).total()
