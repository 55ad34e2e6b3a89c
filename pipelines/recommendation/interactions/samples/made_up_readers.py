"""A made-up log whose every probability is known, so that nobody can do better than its oracle."""

from datetime import datetime, timedelta
from functools import partial

import numpy as np

from horngate.pipelines.metrics import ranking
from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.ranked_lists import Lister

RULE = None  # under which the oracle knows what is asked for: any
READERS, BOOKS, TOPICS, FIRST = 300, 240, 8, datetime(2024, 1, 1)
SUBJECTS = ("history", "cooking", "crime", "poetry", "travel", "science", "gardening", "music")


def chances() -> np.ndarray:
    """Return float64 `[readers, books]`: how likely a reader's next book is each of them, the same numbers everywhere.

    A book has one of eight topics and a popularity that falls by Zipf's law; a reader likes two topics, the first three
    times as much as the second, and any other twenty times less than the second.
    """
    draw = np.random.default_rng(14)
    topic = np.arange(BOOKS) % TOPICS
    fame = (1.0 + np.arange(BOOKS) // TOPICS) ** -0.7
    liking = np.full((READERS, TOPICS), 0.05)
    for reader in range(READERS):
        first, second = draw.permutation(TOPICS)[:2]
        liking[reader, [first, second]] = 3.0, 1.0
    share = liking[:, topic] * fame
    return share / share.sum(1, keepdims=True)


def readings() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return readers, books (codes, int64 `[n]`) and times (ISO 8601): each reader reads 10 to 39 different books."""
    draw, likely = np.random.default_rng(15), chances()
    readers, books, days = [], [], []
    for reader in range(READERS):
        count = int(draw.integers(10, 40))
        books.append(draw.choice(BOOKS, count, replace=False, p=likely[reader]))
        readers.append(np.full(count, reader))
        days.append(np.sort(draw.uniform(0, 365, count)))
    times = [(FIRST + timedelta(days=float(day))).isoformat(timespec="seconds") for day in np.concatenate(days)]
    return np.concatenate(readers), np.concatenate(books), times


def names() -> tuple[list[str], list[str]]:
    """Return the ids of the readers and of the books."""
    return [f"reader-{number:03d}" for number in range(READERS)], [f"book-{number:03d}" for number in range(BOOKS)]


def oracle(log: Log, rankable: np.ndarray) -> Lister:
    """Return what lists the sample's items by their true chances: no order that is known beforehand scores higher."""
    readers, books = names()
    rows, columns = (
        np.array([known.index(name) for name in ids.to_pylist()])
        for known, ids in ((readers, log.users), (books, log.items))
    )
    likely = chances()[np.ix_(rows, columns)].astype(np.float32)
    scorer = partial(np.take, likely, axis=0)
    return lambda users, seen, past: ranked_lists.lists(scorer, users, seen, rankable, ranking.DEPTH)[0]


def log() -> dict[str, list[str]]:
    """Return the columns of the sample, by role."""
    users, items = names()
    readers, books, times = readings()
    return {"user": [users[reader] for reader in readers], "item": [items[book] for book in books], "time": times}
