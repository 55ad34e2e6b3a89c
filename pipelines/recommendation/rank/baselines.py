"""What a ranker is held against: what people use who don't want to train a network, fitted on the same training rows."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from horngate.models.recommendation.rankers import Layout

Scores = Callable[[np.ndarray], np.ndarray]  # rows float32 [n, width] -> float64 [n]
MOST_FITTED = 200_000  # rows; of more, an even draw
STRENGTHS = (0.03, 0.1, 0.3, 1.0)  # of the logistic regression
PENALTIES = (1.0, 3.0, 10.0, 30.0)  # of the biases, in rows
SWEEPS = 10
FEW = 255  # categories that trees take as such; more become their mean target
PRIOR = 10.0  # rows that a category's mean target is drawn to the mean of all by


def fitted_baselines(
    layout: Layout,
    train: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    clicks: bool,
    pair: Sequence[int],
) -> dict[str, Scores]:
    """Return scores of rows by name.

    Args:
        train, held: rows and their targets float64 `[n]` (1 and 0 of clicks), of training and validation.
        pair: numbers of the entries of users and items, both of them, or any others.
    """
    if np.ptp(train[1]) == 0:
        return {}  # nothing to learn
    made = {"gradient_boosting": _boosted(layout, train, clicks)}
    if clicks:
        return {"logistic_regression": _logistic(layout, train, held)} | made
    return {"user_item_bias": _biases(layout, train, held, pair)} | made if len(pair) == 2 else made


def one_hot(layout: Layout, rows: np.ndarray):
    """Return rows as a sparse matrix: one column a category, one for gaps, numbers as they are with one more for gaps."""
    parts, count = [], len(rows)
    for first, places, size in layout.entries:
        codes = rows[:, first : first + places]
        gap = np.isnan(codes)
        codes = np.where(gap, size + 1, np.minimum(codes, size)).astype(np.int64)
        kept = ~gap
        kept[:, 0] |= gap.all(1)
        where = np.repeat(np.arange(count), places).reshape(count, places)[kept]
        parts.append(csr_matrix((np.ones(kept.sum()), (where, codes[kept])), shape=(count, size + 2)))
    numbers = rows[:, list(layout.numbers)].astype(np.float64)
    parts += [csr_matrix(np.nan_to_num(numbers)), csr_matrix(np.isnan(numbers).astype(np.float64))]
    return hstack(parts, format="csr")


def _logistic(layout: Layout, train: tuple, held: tuple) -> Scores:
    """Return logistic regression on one-hot features, its strength chosen by the log loss of validation rows."""
    numbers = list(layout.numbers)
    scaler = StandardScaler().fit(train[0][:, numbers]) if numbers else None

    def features(rows: np.ndarray):
        rows = rows.copy()
        if scaler is not None:
            rows[:, numbers] = scaler.transform(rows[:, numbers])
        return one_hot(layout, rows)

    fitted, best, known = None, np.inf, features(train[0])
    some = features(held[0]) if len(held[0]) else None
    for strength in STRENGTHS if some is not None else STRENGTHS[1:2]:
        model = LogisticRegression(C=strength, max_iter=300).fit(known, train[1])
        loss = 0.0 if some is None else log_loss(held[1], model.predict_proba(some)[:, 1], labels=[0, 1])
        if loss < best:
            fitted, best = model, loss
    return lambda rows: fitted.predict_proba(features(rows))[:, 1]


def _boosted(layout: Layout, train: tuple, clicks: bool) -> Scores:
    """Return histogram gradient boosting; columns of many categories become their mean target, said out of fold."""
    encoded, features = _encoded(layout, *train)
    kinds = [size + 1 < FEW for _, places, size in layout.entries if places == 1]
    kinds += [False] * (encoded.shape[1] - len(kinds))
    cls = HistGradientBoostingClassifier if clicks else HistGradientBoostingRegressor
    model = cls(random_state=0, categorical_features=kinds, early_stopping=True).fit(encoded, train[1])
    if clicks:
        return lambda rows: model.predict_proba(features(rows))[:, 1]
    return lambda rows: model.predict(features(rows))


def _encoded(layout: Layout, rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, Callable]:
    """Return training rows float64 `[n, columns]` for trees, and the function that makes them of any rows."""
    fold = np.arange(len(rows)) % 5
    mean = targets.mean()
    tables = {
        place: np.stack(
            [
                _means(rows[kept, first], targets[kept], size, mean)
                for kept in [fold != out for out in range(5)] + [fold >= 0]
            ]
        )
        for place, (first, places, size) in enumerate(layout.entries)
        if places == 1 and size + 1 >= FEW
    }

    def features(asked: np.ndarray, folds: np.ndarray | int = 5) -> np.ndarray:
        single, several = [], []
        for place, (first, places, size) in enumerate(layout.entries):
            codes = asked[:, first : first + places]
            if place in tables:
                known = np.where(np.isnan(codes[:, 0]), size + 1, np.minimum(codes[:, 0], size)).astype(np.int64)
                single.append(tables[place][folds, known])
            elif places == 1:
                single.append(codes[:, 0])
            else:
                several += [(codes == code).any(1) for code in range(min(size, FEW))]
        columns = [*single, *several, *(asked[:, place] for place in layout.numbers)]
        return np.stack([column.astype(np.float64) for column in columns], 1)

    return features(rows, fold), features


def _means(codes: np.ndarray, targets: np.ndarray, size: int, mean: float) -> np.ndarray:
    """Return the mean target of each code, drawn to that of all; codes never seen and gaps have that of all or their own."""
    known = np.where(np.isnan(codes), size + 1, np.minimum(codes, size)).astype(np.int64)
    rows, sums = (np.bincount(known, weights, size + 2) for weights in (None, targets))
    return (sums + PRIOR * mean) / (rows + PRIOR)


def _biases(layout: Layout, train: tuple, held: tuple, pair: Sequence[int]) -> Scores:
    """Return mean + bias of the user + bias of the item (Koren 2008), penalised; the penalties are chosen on validation."""
    sides = [layout.entries[place] for place in pair]

    def codes(rows: np.ndarray) -> list[np.ndarray]:
        return [np.where(np.isnan(rows[:, first]), size, rows[:, first]).astype(np.int64) for first, _, size in sides]

    mean, known, some = train[1].mean(), codes(train[0]), codes(held[0])
    fitted, best = None, np.inf
    for penalty in (
        [(user, item) for user in PENALTIES for item in PENALTIES] if len(held[0]) else [(PENALTIES[1],) * 2]
    ):
        biases = [np.zeros(size + 1) for _, _, size in sides]
        for _ in range(SWEEPS):
            for own, other in ((1, 0), (0, 1)):
                rest = train[1] - mean - biases[other][known[other]]
                rows, sums = (np.bincount(known[own], weights, len(biases[own])) for weights in (None, rest))
                biases[own] = sums / (rows + penalty[own])
        loss = np.mean((held[1] - mean - biases[0][some[0]] - biases[1][some[1]]) ** 2) if len(held[0]) else 0.0
        if loss < best:
            fitted, best = biases, loss
    return lambda rows: mean + fitted[0][codes(rows)[0]] + fitted[1][codes(rows)[1]]
