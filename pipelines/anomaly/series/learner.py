"""How detectors of series learn: from which windows, and which detectors; and what they are held against."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from horngate.models.anomaly.series_detectors import joined
from horngate.models.anomaly.window_learning import WindowConfig, learnt, moments
from horngate.pipelines.anomaly.series.reader import LEAST, numbered
from horngate.pipelines.metrics.anomaly import detection
from horngate.pipelines.metrics.anomaly.series import Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.anomaly_detection.learner import AnomalyLearner, DetectionRows, Learnt
from horngate.pipelines.tasks.parts import LearningData
from horngate.pipelines.training.phases import PhaseRunner

MEMBERS = ("linear", "nearest", "pca")  # of `auto`; chosen by benchmarks/anomaly_choices.py
OFTEN = 16  # training windows that begin within the length of one
MOST_WINDOWS = 20_000  # that are learnt from; of more, evenly spaced ones
BLOCK = 2048  # windows that baselines score at once
TREES = 100
EXPLAINED = 0.95
BASELINES = ("isolation_forest", "windowed_pca")
Scorer = Callable[[np.ndarray], np.ndarray]
Scorers = Callable[[np.ndarray], dict[str, np.ndarray]]


class StepLearner(AnomalyLearner):
    """Learns the detector that the card asks for, or several together, from evenly spaced windows."""

    def learn(self, rows: DetectionRows, run: Run) -> Learnt:
        card, reader = self.card, self.task.reader
        kinds = MEMBERS if card.detector == "auto" else (card.detector,)
        clean = self._clean(rows, rows.train)
        train = reader.windows(rows.taken(self._spaced(clean)), "reading the training rows")
        validation = self._spaced(self._clean(rows, rows.validation))
        held = reader.windows(rows.taken(validation), "reading the validation rows")
        scale = self._scale(rows, clean)
        config = WindowConfig(reader.smooth, card.seed, card.epochs, card.batch_size, card.learning_rate)
        training = PhaseRunner(self.task, run)

        members = []
        for kind in kinds:
            with training.timed(kind), training.monitor() as policy:
                member, history = learnt(kind, train, held, scale, config, policy)
            training.history += history
            members.append(member)
        model = joined(members)
        why = "asked for" if card.detector != "auto" else f"together: {', '.join(MEMBERS)}"
        said = {"window": card.window, "smooth": reader.smooth, "columns": len(reader.schema["columns"])}
        return Learnt(model, card.detector, why, costs=training.costs, history=training.history, protocol=said)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return an isolation forest and principal components of the same windows, alarms chosen in the same way."""
        truth = self.task.fitted.decisions.encode(data.table["target"].to_pylist())
        rows = DetectionRows.of(data, truth, self.one_class)
        clean = self._clean(rows, rows.train, silent=True)
        train = self.task.reader.windows(rows.taken(self._spaced(clean)), "rivals on train")
        score = fitted_baselines(train, self._scale(rows, clean), self.card.seed)
        sides = {split: data.rows(split) for split in data.held_out}
        scores = {split: self._scored(score, own, f"rivals on {split}") for split, own in sides.items()}
        return {name: self._with_alarms({split: scores[split][name] for split in sides}, sides) for name in BASELINES}

    def _scored(self, score: Scorers, rows: pa.Table, label: str) -> dict[str, np.ndarray]:
        """Return the baselines' scores `[n]` of rows by name."""
        parts = [score(self.task.reader.windows(rows.slice(at, BLOCK), label)) for at in range(0, rows.num_rows, BLOCK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in BASELINES}

    def _with_alarms(self, scores: dict[str, np.ndarray], sides: dict[str, pa.Table]) -> dict[str, Outcome]:
        """Return a baseline's outcomes by split, its threshold chosen on its normal validation rows, as the run's own."""
        if "validation" not in sides:
            return {}
        evaluator, held = self.task.evaluator, sides["validation"]
        truth = {split: evaluator.truth(rows["target"].to_pylist()) for split, rows in sides.items()}
        if (truth["validation"] == 1).all():
            return {}
        chosen = self.task.predictor.decided(scores["validation"], truth["validation"], held, self.card, True)
        return {
            split: evaluator.in_time(
                detection.Outcome(own.astype(np.float64), truth[split], own >= chosen.threshold), sides[split]
            )
            for split, own in scores.items()
        }

    def _clean(self, rows: DetectionRows, places: np.ndarray, silent: bool = False) -> np.ndarray:
        """Return the places whose window is to be learnt from: under one-class, those that reach no known anomaly.

        Args:
            silent: whether not to tell that these are too few, and all are learnt from.
        """
        if self.card.protocol != "one-class":
            return places
        truth = rows.truth == 1
        series = numbered(rows.table["group"].to_pylist())
        near = np.zeros(len(truth), bool)
        for own in (np.flatnonzero(series == name) for name in np.unique(series)):
            until = np.append(0, np.cumsum(truth[own]))
            at = np.arange(1, len(own) + 1)
            near[own] = until[at] > until[np.maximum(at - self.card.window, 0)]
        if (~near[places]).sum() >= min(LEAST, len(places)):
            return places[~near[places]]
        if not silent:
            progress.notice(
                "too few rows are a whole window away from anomalies; windows that reach one are learnt too"
            )
        return places

    def _spaced(self, places: np.ndarray) -> np.ndarray:
        """Return every so many of the places: neighbouring windows hold nearly the same."""
        every = max(1, self.card.window // OFTEN, -(-len(places) // MOST_WINDOWS))
        return places[len(places) - 1 :: -every][::-1] if len(places) else places

    def _scale(self, rows: DetectionRows, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each column in these rows."""
        read = self.task.reader.read
        return moments(np.stack([read(value)[-1] for value in rows.taken(places)["value"].to_pylist()]))


def fitted_baselines(train: np.ndarray, scale: tuple[np.ndarray, np.ndarray], seed: int) -> Scorers:
    """Return a function from windows float32 `[n, w, d]` to scores `[n]` by name, of each of `BASELINES`.

    Args:
        train: the windows that the detectors learnt from, float32 `[m, w, d]`.
        scale: mean and standard deviation of each column.
        seed: of the forest.
    """

    def flat(windows: np.ndarray) -> np.ndarray:
        values = np.nan_to_num((_filled(windows) - scale[0]) / scale[1])
        return values.reshape(len(values), -1).astype(np.float32)

    learnt = flat(train)
    scorers = dict(zip(BASELINES, (_forest(learnt, seed), _components(learnt)), strict=True))

    def score(windows: np.ndarray) -> dict[str, np.ndarray]:
        values = flat(windows)
        return {name: scorer(values) for name, scorer in scorers.items()}

    return score


def _filled(windows: np.ndarray) -> np.ndarray:
    """Return windows with the last value before it for what is missing, else the first one after it."""
    windows = windows.copy()
    for _ in range(2):
        for row in range(1, windows.shape[1]):
            gaps = np.isnan(windows[:, row])
            windows[:, row][gaps] = windows[:, row - 1][gaps]
        windows = windows[:, ::-1]
    return windows


def _forest(train: np.ndarray, seed: int) -> Scorer:
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(train)
    return lambda windows: -forest.score_samples(windows)


def _components(train: np.ndarray) -> Scorer:
    found = PCA(EXPLAINED, svd_solver="full").fit(train)
    return lambda windows: np.sqrt(((windows - found.inverse_transform(found.transform(windows))) ** 2).mean(1))
