"""What `recommendation.py` measures with: chosen by ndcg_at_10 on validation rows; no score of a test row is printed.

    HORNGATE_DATA=… python benchmarks/recommendation_choices.py [movielens gowalla]

movielens: 8:1:1 of each user, seed 0: temperatures of mf and of lightgcn. gowalla: temperatures of lightgcn, after six
epochs of each. MovieLens chooses the default, 1.5 over the logarithm of the number of items; Gowalla is measured with what
it chooses itself. Runs are kept in $HORNGATE_BENCH_RUNS (default: below the temporary folder), and a
call goes on where the last one was cut. Results are merged into benchmarks/results/recommendation_choices.json.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import keep
from recommendation import LOGS, MOVIES, learnt

FACTORS = (0.75, 1.0, 1.5, 2.0, 3.0)  # times 1 / log(items)


def judged(name: str, **knobs) -> float:
    """Return ndcg_at_10 on validation of a model, trained unless it was before."""
    run = learnt(name, split_rule="per-user", **knobs)
    (found,) = run.summary["protocol"]["ndcg_at_10_on_validation"].values()
    print(name, found, flush=True)
    return found


def warmth(items: int, factor: float) -> float:
    return round(factor / float(np.log(items)), 4)


def movielens() -> dict:
    """Return the scores of each setting on MovieLens-100k."""
    data, items = str(MOVIES), 1682
    return {
        f"{model}, temperature {factor} / log(items)": judged(
            f"choice-ml-{model}-{factor}", data=data, model=model, temperature=warmth(items, factor)
        )
        for model in ("mf", "lightgcn")
        for factor in FACTORS
    }


def gowalla() -> dict:
    """Return the scores of each setting on Gowalla, after six epochs."""
    data, items = str(LOGS / "gowalla"), 40_981
    return {
        f"lightgcn, temperature {factor} / log(items)": judged(
            f"choice-gowalla-{factor}", data=data, model="lightgcn", temperature=warmth(items, factor), epochs=6
        )
        for factor in FACTORS[:3]
    }


ROWS = {"movielens": movielens, "gowalla": gowalla}


def main() -> None:
    """Measure the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("named", nargs="*", metavar="ROW", default=list(ROWS))
    for row in parser.parse_args().named:
        keep("recommendation_choices", row, ROWS[row]())


if __name__ == "__main__":
    main()
