"""The reference of taggers: what the training rows called an entity is one wherever it stands."""

from collections import Counter, defaultdict

from horngate.pipelines.nlp.tag.spans import Span, words_of

LEAST = 0.5  # share of a name's places in the training texts that are an entity, for it to be kept


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
