"""How long texts are in tokens, counted while they are read."""

from collections import Counter
from threading import Lock
from typing import Any

import numpy as np


class Lengths:
    """How many tokens the texts have that were read, for a report."""

    def __init__(self):
        self.counts: Counter = Counter()  # tokens -> texts
        self.longer = [0, 0]  # texts that are longer than the model takes, and their tokens beyond
        self.lock = Lock()

    def saw(self, count: int, beyond: int) -> None:
        """Count a text of so many tokens, of which some are more than the model takes at once."""
        with self.lock:
            self.counts[count] += 1
            self.longer[0] += beyond > 0
            self.longer[1] += beyond

    def told(self, most: int, cut: bool) -> dict[str, Any]:
        """Return what a report says, as `tokens`; nothing where no text was read.

        Args:
            most: tokens that the model takes at once.
            cut: whether longer texts are cut there; else they get further windows.
        """
        if not self.counts:
            return {}
        sizes = np.array(sorted(self.counts.elements()))
        found = {"most": most, "median": float(np.median(sizes)), "longest": int(sizes[-1])}
        if cut:
            found |= {"cut_rows": self.longer[0] / len(sizes), "cut_tokens": self.longer[1] / int(sizes.sum())}
        else:
            found |= {"windowed_rows": self.longer[0] / len(sizes)}
        return {"tokens": found | {"counts": {str(size): count for size, count in sorted(self.counts.items())}}}
