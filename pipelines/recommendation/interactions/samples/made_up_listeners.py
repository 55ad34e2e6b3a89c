"""A made-up log in which what comes next hangs on what came last, with chances that are known."""

import numpy as np

from horngate.pipelines.metrics import ranking
from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.ranked_lists import Lister

RULE = "leave-one-out"  # under which the oracle knows what is asked for: the one next item
LISTENERS, SONGS, SHORTEST, LONGEST = 500, 100, 8, 24
FOLLOWERS = (0.45, 0.22, 0.12, 0.06)  # chances of the four songs that often follow one; the rest is for any song


def chances() -> np.ndarray:
    """Return float64 `[songs, songs]`: how likely each song is to follow each, before what was heard is left out."""
    draw = np.random.default_rng(16)
    likely = np.full((SONGS, SONGS), (1 - sum(FOLLOWERS)) / SONGS)
    for song in range(SONGS):
        others = np.setdiff1d(np.arange(SONGS), [song])
        likely[song, draw.choice(others, len(FOLLOWERS), replace=False)] += FOLLOWERS
    return likely


def log() -> dict[str, list[str]]:
    """Return listeners and songs in the order of listening; nobody hears a song twice."""
    draw, likely = np.random.default_rng(17), chances()
    users, items = [], []
    for listener in range(LISTENERS):
        count = int(draw.integers(SHORTEST, LONGEST + 1))
        heard = [int(draw.integers(SONGS))]
        while len(heard) < count:
            share = likely[heard[-1]].copy()
            share[heard] = 0.0
            heard.append(int(draw.choice(SONGS, p=share / share.sum())))
        users += [f"listener-{listener:03d}"] * count
        items += [f"song-{song:02d}" for song in heard]
    return {"user": users, "item": items}


def oracle(log: Log, rankable: np.ndarray) -> Lister:
    """Return what lists the sample's items by their true chances to come next: no order scores higher on average."""
    songs = np.array([int(name.removeprefix("song-")) for name in log.items.to_pylist()])
    likely = chances()[np.ix_(songs, songs)].astype(np.float32)

    def listed(users: np.ndarray, seen, past) -> np.ndarray:
        last = past.indices[np.maximum(past.indptr[1:] - 1, 0)]
        return ranked_lists.lists(lambda own: likely[last[own]], users, seen, rankable, ranking.DEPTH)[0]

    return listed
