"""Throughput of text prediction against padding and against PyTorch, and what a probe costs beside one pass of its encoder.

    HORNGATE_DATA=… python benchmarks/text_stream.py [--texts 6000] [--torch PYTHON] [predict probe]

predict: texts of mixed length (intents, film reviews, news) through `horngate.pipelines.predict`, table to table; the same
model by `model.predict` on token ids filled up to 256; and, where `--torch` names the Python of another environment that has
torch and transformers, MiniLM there in a loop without gradients over batches of 32, filled up to their longest text, the
texts sorted by length or not. probe: seconds of a ten-epoch probe of Banking77 over those of one pass of the encoder.
Results are merged into benchmarks/results/text_stream.json.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import keep
from nlp import MINILM, NLP, banking77, sst2, tabbed

PADDED = 256
TORCH = """
import json, sys, time
import torch
from transformers import AutoModel, AutoTokenizer
folder, texts = sys.argv[1], json.load(open(sys.argv[2]))
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
def run(order):
    started = time.monotonic()
    with torch.inference_mode():
        if order:
            sizes = [len(ids) for ids in tokenizer(texts, truncation=True, max_length=256)["input_ids"]]
            places = sorted(range(len(texts)), key=sizes.__getitem__)
        else:
            places = list(range(len(texts)))
        for at in range(0, len(places), 32):
            batch = [texts[place] for place in places[at : at + 32]]
            tensors = tokenizer(batch, padding=True, truncation=True, max_length=256, return_tensors="pt")
            said = model(**tensors).last_hidden_state
            mask = tensors["attention_mask"][..., None]
            (said * mask).sum(1) / mask.sum(1)
    return len(texts) / (time.monotonic() - started)
run(True)
print(json.dumps({"sorted": run(True), "unsorted": run(False)}))
"""


def mixed(count: int) -> list[str]:
    """Return so many texts of three kinds in random order."""
    news = [text for _, text in tabbed(NLP / "ag_news_5k" / "test.tsv")[1:]]
    kinds = [[text for text, *_ in banking77()], [text for text, *_ in sst2()], news]
    draw = np.random.default_rng(0)
    texts = [text for kind in kinds for text in draw.choice(kind, count // 3, replace=False)]
    return [str(text) for text in draw.permutation(texts)]


def trained(folder: Path, **knobs):
    """Return a probed MiniLM on Banking77, texts of up to 256 tokens."""
    from horngate.pipelines import train
    from horngate.pipelines.nlp import Classify

    data = folder / "banking77.jsonl"
    rows = ({"text": text, "label": label, "split": split} for text, label, split in banking77())
    data.write_text("\n".join(map(json.dumps, rows)))
    given = {"backbone": MINILM, "method": "probe", "split_column": "split", "keep_column": ()}
    return train(Classify(data=str(data), output=str(folder / "runs"), **given | knobs))


def predict_row(folder: Path, count: int, torch: str | None) -> dict:
    """Measure texts a second of each way, and how far answers of the first two differ."""
    from horngate.pipelines import predict
    from horngate.pipelines.system.files import read_table
    from horngate.pipelines.tasks.task import task_of

    run, texts = trained(folder, max_length=PADDED, epochs=3), mixed(count)
    table = folder / "texts.jsonl"
    table.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    (folder / "warm.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts[:64]))
    predict(run, [str(folder / "warm.jsonl")], folder / "warm.parquet")
    started = time.monotonic()
    predict(run, [str(table)], folder / "out.parquet")
    ours = len(texts) / (time.monotonic() - started)
    task = task_of(run.card).opened(run)
    few = texts[: max(count // 10, 64)]
    task.predictor.core.predict(filled(task, few[:64]), batch_size=32, verbose=0)
    started = time.monotonic()
    plain = task.predictor.core.predict(filled(task, few), batch_size=32, verbose=0)
    padded = len(few) / (time.monotonic() - started)
    said = np.stack(read_table(folder / "out.parquet")["scores"].to_pylist()[: len(few)])
    found = {"texts": len(texts), "horngate, texts/s": ours, f"filled up to {PADDED}, texts/s": padded}
    found |= {"ratio to filling up": ours / padded, "max abs difference": float(np.abs(said - plain).max())}
    if torch:
        (folder / "texts.json").write_text(json.dumps(texts))
        command = [torch, "-c", TORCH, MINILM, str(folder / "texts.json")]
        rates = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        found |= {f"torch, {name}, texts/s": rate for name, rate in rates.items()}
        found["ratio to torch, sorted"] = ours / rates["sorted"]
    return found


def filled(task, texts: list[str]) -> np.ndarray:
    """Return token ids int32 `[n, 256]`."""
    ids = np.full((len(texts), PADDED), task.fitted.schema["pad"], np.int32)
    for place, text in enumerate(texts):
        own = task.reader.read(text.encode())
        ids[place, : len(own)] = own
    return ids


def probe_row(folder: Path) -> dict:
    """Measure a ten-epoch probe against one pass of its encoder over the same rows, filled up in the same batches."""
    from horngate.pipelines.data.sources.loader import examples
    from horngate.pipelines.tasks.task import task_of
    from horngate.pipelines.training.rows import ReadRows

    run = trained(folder, epochs=10, test=0.0, runtime="tensorflow")
    task = task_of(run.card).opened(run)
    table = examples(run.card, task.rows.suffixes)
    sides = dict(zip(run.splits["id"].to_pylist(), run.splits["split"].to_pylist(), strict=True))
    table = table.filter([sides.get(name) in ("train", "validation") for name in table["id"].to_pylist()])
    encoder, rows = task.fitted.model.encoder, ReadRows(task.reader, table, np.zeros(table.num_rows))
    encoder.predict_on_batch(next(rows.in_turn(32))[1])
    started = time.monotonic()
    for _, inputs in ReadRows(task.reader, table, np.zeros(table.num_rows)).in_turn(32):
        encoder.predict_on_batch(inputs)
    once, whole = time.monotonic() - started, run.summary["costs_seconds"]["probe"]
    return {"rows": table.num_rows, "probe, s": whole, "encoder once, s": round(once, 1), "ratio": whole / once}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", default=["predict", "probe"])
    parser.add_argument("--texts", type=int, default=6000)
    parser.add_argument("--torch")
    wished = parser.parse_args()
    for row in wished.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            found = probe_row(folder) if row == "probe" else predict_row(folder, wished.texts, wished.torch)
        found = {name: round(value, 7 if value < 0.01 else 3) for name, value in found.items()}
        keep("text_stream", row, found)
