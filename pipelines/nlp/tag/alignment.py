"""Words and tokens: which token speaks for which word, also where a text is cut into several windows."""

from bisect import bisect_right

import numpy as np
from tokenizers import Encoding

# What the letters of a word look like; a lower-cased vocabulary doesn't know. 0 is for what is no word.
SHAPES = ("none", "lower", "Capital", "CAPITALS", "miXed", "number", "letters and digits", "no case", "sign")


def shape_of(word: str) -> int:
    """Return the place of a word's shape in `SHAPES`."""
    if not word[0].isalnum():
        return SHAPES.index("sign")
    if word.isdecimal():
        return SHAPES.index("number")
    if not word.isalpha():
        return SHAPES.index("letters and digits")
    if word.lower() == word.upper():
        return SHAPES.index("no case")
    if word.islower():
        return SHAPES.index("lower")
    if word[0].isupper() and (len(word) == 1 or word[1:].islower()):
        return SHAPES.index("Capital")
    return SHAPES.index("CAPITALS" if word.isupper() else "miXed")


def laid_out(
    windows: list[Encoding], text: str, words: list[tuple[int, int]], vocabulary: int
) -> tuple[np.ndarray, ...]:
    """Return int32 `[tokens, 3]` of each window: token + vocabulary × shape of its word, and start and end of the word that

    the token speaks for; -1 where for none. A word's first token speaks for it, in the window where it has most context on
    its poorer side.
    """
    touched = [words_of_tokens(window, words) for window in windows]
    tensors = []
    for window, places in zip(windows, touched, strict=True):
        shapes = [shape_of(text[slice(*words[word])]) if word >= 0 else 0 for word in places]
        tensor = np.full((len(window.ids), 3), -1, np.int32)
        tensor[:, 0] = np.array(window.ids) + vocabulary * np.array(shapes)
        tensors.append(tensor)
    for word, (number, place) in _speakers(windows, touched).items():
        tensors[number][place, 1:] = words[word]
    return tuple(tensors)


def speaking(tensor: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the places of tokens that speak for words, in the order of the words, and (start, end) of these."""
    places = np.flatnonzero(tensor[:, 1] >= 0)
    places = places[np.argsort(tensor[places, 1], kind="stable")]
    return places, [(int(start), int(end)) for start, end in tensor[places, 1:]]


def words_of_tokens(window: Encoding, words: list[tuple[int, int]]) -> list[int]:
    """Return for each token the first word that it touches, -1 for none."""
    starts, found = [start for start, _ in words], []
    for (start, end), special in zip(window.offsets, window.special_tokens_mask, strict=True):
        word = bisect_right(starts, end - 1) - 1 if end > start and not special else -1
        while word > 0 and words[word - 1][1] > start:
            word -= 1
        found.append(word if word >= 0 and words[word][1] > start else -1)
    return found


def _speakers(windows: list[Encoding], touched: list[list[int]]) -> dict[int, tuple[int, int]]:
    """Return for each word that has tokens: the window, and the place in it, of the token that speaks for it."""
    found: dict[int, tuple] = {}
    for number, (window, places) in enumerate(zip(windows, touched, strict=True)):
        last = len(places) - 1
        for place, word in enumerate(places):
            if word < 0:
                continue
            before = place if number else len(places)
            after = last - place if number < len(windows) - 1 else len(places)
            rank = (window.offsets[place][0], -min(before, after), number, place)  # the first token, then most context
            found[word] = min(found.get(word, rank), rank)
    return {word: rank[2:] for word, rank in found.items()}
