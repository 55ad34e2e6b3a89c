"""Which words carry an answer: by how much its score falls where a word is left out (Zeiler & Fergus 2014, on words)."""

from collections.abc import Callable

import numpy as np

MOST = 24  # words of a text that are left out in turn; of a longer one, the first


def carrying(text: str, score_of: Callable[[list[str]], np.ndarray]) -> list[tuple[str, float]]:
    """Return the words of a text, each with what it carries: 1 for the one that carries most, 0 for none or against.

    Args:
        score_of: returns the score of the answer for texts, float `[n]`.
    """
    words = text.split()
    tried = range(min(len(words), MOST))
    without = [" ".join(words[:place] + words[place + 1 :]) or "." for place in tried]
    scores = score_of([text, *without])
    falls = np.zeros(len(words))
    falls[: len(without)] = np.maximum(scores[0] - scores[1:], 0)
    most = falls.max(initial=0.0)
    return [(word, float(fall / most) if most > 0.001 else 0.0) for word, fall in zip(words, falls, strict=True)]


def marked(words: list[tuple[str, float]]) -> list[tuple[str, int]]:
    """Return runs of words with a strength from 0 (plain) to 3."""
    runs: list[tuple[str, int]] = []
    for word, share in words:
        strength = int(share > 0.15) + int(share > 0.4) + int(share > 0.75)
        if runs and runs[-1][1] == strength:
            runs[-1] = (f"{runs[-1][0]} {word}", strength)
        else:
            runs.append((word, strength))
    return runs
