"""What comes next on public logs, beside rivals of the same runs; each row can be cut and goes on.

    HORNGATE_DATA=… python benchmarks/recommendation_sequence.py [ROW ...] [--seeds N]

Rows: beauty video movielens speed (default: all).
beauty, video: logs in order of time, the last item of each user is the test, the one before validation (the 5-core Beauty
of S3-Rec, on which SASRec is published with hit_rate_at_10 .0605 and ndcg_at_10 .0318; Video games of SASRec). movielens:
the last rating of each user by time, beside the models of `retrieve` (recommendation.py, row ml-100k-last). Full ranking
everywhere, what was seen is masked. Nothing is chosen on test rows: the knobs below were chosen by ndcg_at_10 on
validation. speed: seconds of an epoch of SASRec on Beauty, beside the same network in plain Keras: padded arrays, all
places, `fit`; and the step with its batches ready in memory. Runs are kept in $HORNGATE_BENCH_RUNS (default: below the
temporary folder), and a call goes on where the last one was cut. Results are merged into
benchmarks/results/recommendation_sequence.json.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import keep
from recommendation import LOGS, MOVIES, last_movies, learnt, scored

BEAUTY = LOGS / "s3rec" / "Beauty.txt"
VIDEO = LOGS / "sasrec" / "Video.txt"
LONG = {"max_length": 100}  # of MovieLens, whose users rate a hundred movies
FEW_STEPS = 12  # of plain Keras, which takes so long that an epoch is reckoned from them


def last_items(name: str, seeds: int = 1, **knobs) -> dict:
    """Return the scores on the last item of each user, for each seed."""
    knobs = {"task": "Sequence", "split_rule": "leave-one-out", **knobs}
    return {f"seed {seed}": _compared(learnt(f"{name}-{seed}", seed=seed, **knobs)) for seed in range(seeds)}


def _compared(run) -> dict:
    found = scored(run)
    own, popular = (found["test"][name]["ndcg_at_10"] for name in (run.summary["method"], "popularity"))
    chosen = run.summary["protocol"]["ndcg_at_10_on_validation"]
    return found | {"times popularity": round(own / popular, 2), "on validation": chosen}


def movies(seeds: int) -> dict:
    """Return the scores on the last movie of each user: both networks, the models of `retrieve`, EASE of the same run."""
    found = last_items("ml-100k-last", seeds, data=str(MOVIES), **LONG)
    return found | {"retrieve": last_movies()}


def speed() -> dict:
    """Return the seconds of an epoch of SASRec on Beauty, of plain Keras, and of steps with batches in memory."""
    import keras

    from horngate.models.recommendation.sequence_learning import SequenceSettings, Stretches, network
    from horngate.models.recommendation.sequences import Following
    from horngate.models.training.learning import ArrayRows, CheckpointPolicy, Plan, learn

    lists = _histories()
    rows = Stretches(lists, 50)
    nothing = ArrayRows(np.zeros((0, 1), np.int32), np.zeros((0, 1), np.int32))
    plan = Plan("speed", 1, 128, 0, monitor=None)

    def made() -> keras.Model:
        model = Following(network("sasrec", lists.count, SequenceSettings(0)), lists.items)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
        return model

    model, found, steps = made(), {}, plan.steps(rows.count)
    learn(model, rows, nothing, plan, CheckpointPolicy())
    found["seconds of an epoch"] = _seconds(lambda: learn(model, rows, nothing, plan, CheckpointPolicy()))
    ready = _ready(rows, steps)
    in_memory = made()
    in_memory.fit(ready, verbose=0)
    found["seconds with batches in memory"] = _seconds(lambda: in_memory.fit(ready, verbose=0))
    again = _seconds(lambda: learn(model, rows, nothing, plan, CheckpointPolicy()))
    found["seconds of an epoch"] = round((found["seconds of an epoch"] + again) / 2, 2)
    found["pipeline / memory"] = round(found["seconds of an epoch"] / found["seconds with batches in memory"], 3)
    found["seconds of plain Keras"] = round(_plain(lists, rows) * steps / FEW_STEPS, 1)
    return found | {"steps": steps}


def _histories():
    from horngate.pipelines.recommendation import Sequence
    from horngate.pipelines.recommendation.interactions.inspection import inspect_log

    seen = inspect_log(Sequence(data=str(BEAUTY), split_rule="leave-one-out"), True)
    return seen.store().lists(seen.sides == 0)


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 2)


def _ready(rows, steps: int):
    """Return the batches of an epoch, made before: rows of about the same length together, as in training."""
    import keras

    order = np.array_split(np.argsort(rows.lengths, kind="stable"), steps)
    mixed = [order[place] for place in np.random.default_rng(0).permutation(np.arange(1, steps - 1))]
    order = [order[0], order[-1], *mixed]  # Keras sees by the first two that lengths vary

    class Ready(keras.utils.PyDataset):
        batches = [rows.batch(part, 0) for part in order]

        def __len__(self) -> int:
            return len(self.batches)

        def __getitem__(self, index: int) -> tuple:
            return self.batches[index]

    return Ready()


def _plain(lists, rows) -> float:
    """Return the seconds of a few steps of plain Keras: padded arrays, scores at all places, a mask as sample weights."""
    import keras
    from keras import ops

    from horngate.models.recommendation.sequence_learning import SequenceSettings, network

    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = network("sasrec", lists.count, SequenceSettings(0))

        def call(self, items, training=False):
            return ops.matmul(self.layer.states(items, training), ops.transpose(self.layer.item_vectors))

    model = Plain()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    draw = np.random.default_rng(0).permutation(rows.count)[: FEW_STEPS * 128]
    parts = [np.pad(part, [(0, 0), (0, 50 - part.shape[1])]) for part in rows.batch(draw, 0)]
    inputs, targets, weights = parts[0], np.maximum(parts[1] - 1, 0), parts[2]
    model.fit(inputs[:128], targets[:128], sample_weight=weights[:128], batch_size=128, verbose=0)
    return _seconds(lambda: model.fit(inputs, targets, sample_weight=weights, batch_size=128, verbose=0))


ROWS: dict[str, Callable[[int], dict]] = {
    "beauty": lambda seeds: last_items("beauty", seeds, data=str(BEAUTY), model="sasrec"),
    "video": lambda seeds: last_items("video", data=str(VIDEO), model="sasrec"),
    "movielens": movies,
    "speed": lambda seeds: speed(),
}


def main() -> None:
    """Measure the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("named", nargs="*", metavar="ROW", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    for row in asked.named:
        keep("recommendation_sequence", row, ROWS[row](asked.seeds))


if __name__ == "__main__":
    main()
