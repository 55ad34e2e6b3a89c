"""Measures of scores: how likely clicks rank and fit, how far ratings are off; each a function of row weights."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from horngate.pipelines.metrics.classification import LEAST, Ranking, area_of
from horngate.pipelines.metrics.regression import mae, rmse
from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

BINS = 15  # of the calibration error


@dataclass(frozen=True)
class Outcome(ByRow):
    """What is known of rows that were scored.

    Attributes:
        scores: float64 `[n]`: probabilities of a click, or ratings.
        targets: float64 `[n]`: 1 for a click and 0 for none, or the ratings that were given.
        users: int64 `[n]`, a number for each user, or None.
        clicks: whether scores are probabilities.
    """

    scores: np.ndarray
    targets: np.ndarray
    users: np.ndarray | None
    clicks: bool

    drawn = "users"

    @cached_property
    def units(self) -> np.ndarray | None:
        """int64 `[n]`, what a bootstrap draws: users, numbered from 0 on without gaps; None for rows."""
        return None if self.users is None else np.unique(self.users, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def ranking(self) -> Ranking:
        """The rows ranked by their score."""
        return Ranking(self.targets, self.scores)


def areas(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return for each user the area under the ROC curve of their own rows, and their rows: float64 `[users]`.

    The area is NaN for users whose rows are of one class. Ties count half (the rank sum of Mann & Whitney 1947).
    """
    users, count = outcome.units, int(outcome.units.max()) + 1
    order = np.lexsort((outcome.scores, users))
    own, scores, hits = users[order], outcome.scores[order], outcome.targets[order] > 0
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    places = np.arange(len(own)) - np.repeat(starts, np.diff(starts, append=len(own)))
    new = np.concatenate([[True], (np.diff(scores) != 0) | (np.diff(own) != 0)])
    tie = np.cumsum(new) - 1
    ranks = (np.bincount(tie, places) / np.bincount(tie))[tie] + 1
    rows = np.bincount(own, minlength=count).astype(np.float64)
    found = np.bincount(own, hits, count)
    total = np.bincount(own, ranks * hits, count) - found * (found + 1) / 2
    pairs = found * (rows - found)
    with np.errstate(invalid="ignore"):
        return np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan), rows


def gauc(outcome: Outcome) -> Measure:
    """Area under the ROC curve within users, averaged by their rows; users with one class are left out (Zhu et al. 2017).

    It takes the rows of a user as equally weighted among themselves, as a draw of users leaves them.
    """
    if outcome.units is None:
        raise Uncomputable("no column of users; name one with --user-column")
    by_user, _ = areas(outcome)
    known = ~np.isnan(by_user)
    if not known.any():
        raise Uncomputable("no user has rows of both classes")
    users, own = outcome.units, np.where(known, by_user, 0.0)

    def measure(weights: np.ndarray) -> float:
        sums = np.bincount(users, weights, len(own)) * known
        return float(sums @ own) / float(sums.sum()) if sums.any() else np.nan

    return measure


def ece(outcome: Outcome) -> Measure:
    """Expected calibration error of the probability: 15 bins of about equal numbers of rows, equal scores in one bin."""
    bins, _ = binned(outcome)
    gap, count = outcome.scores - outcome.targets, int(bins.max()) + 1

    def measure(weights: np.ndarray) -> float:
        return float(np.abs(np.bincount(bins, weights * gap, count)).sum()) / float(weights.sum())

    return measure


def binned(outcome: Outcome, count: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each row, int64 `[n]`, and the scores at which bins end."""
    edges = np.unique(np.quantile(outcome.scores, np.arange(1, count) / count))
    return np.searchsorted(edges, outcome.scores, "left"), edges


def reliability(outcome: Outcome) -> list[dict]:
    """Return the bins of the calibration error: rows, mean score and mean target of each."""
    bins, _ = binned(outcome)
    rows = np.bincount(bins)
    kept = np.flatnonzero(rows)
    means = [np.bincount(bins, values)[kept] / rows[kept] for values in (outcome.scores, outcome.targets)]
    return [
        {"rows": int(rows[place]), "score": float(score), "target": float(target)}
        for place, score, target in zip(kept, *means, strict=True)
    ]


def _log_loss(outcome: Outcome) -> Measure:
    losses = losses_of(outcome)
    return lambda weights: float(weights @ losses) / float(weights.sum())


def losses_of(outcome: Outcome) -> np.ndarray:
    """Return the loss of each row, float64 `[n]`: the log loss of a click in nats, the squared error of a rating."""
    if not outcome.clicks:
        return (outcome.scores - outcome.targets) ** 2
    scores = np.clip(outcome.scores, LEAST, 1 - LEAST)
    return -(outcome.targets * np.log(scores) + (1 - outcome.targets) * np.log1p(-scores))


CLICKS = {
    "auroc": Spec(lambda outcome: outcome.ranking.measure(area_of)),
    "gauc": Spec(gauc),
    "log_loss": Spec(_log_loss, False, "nats"),
    "ece": Spec(ece, False, raised=True),
}
RATINGS = {"rmse": Spec(rmse, False, "points"), "mae": Spec(mae, False, "points")}


def measures(outcome: Outcome) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the measures that fit an outcome: of clicks, or of ratings."""
    return prepared(CLICKS if outcome.clicks else RATINGS, outcome)


def worst_users(outcome: Outcome, least: int, most: int) -> list[tuple[int, int, float, float]]:
    """Return (user, rows, mean loss, mean target) of the users with the highest mean loss, worst first.

    Args:
        least: rows of a user that is looked at.
        most: users.
    """
    if outcome.users is None:
        return []
    names, numbers = np.unique(outcome.users, return_inverse=True)
    rows = np.bincount(numbers)
    means = [np.bincount(numbers, values) / rows for values in (losses_of(outcome), outcome.targets)]
    order = [user for user in np.argsort(-means[0], kind="stable") if rows[user] >= least][:most]
    return [(int(names[user]), int(rows[user]), float(means[0][user]), float(means[1][user])) for user in order]
