"""Transcripts on a public set: eight Hebrew words a recording, learnt from 31 of them.

    HORNGATE_DATA=… python benchmarks/speech_transcripts.py [ROW ...]

Rows: yesno (default: all). yesno is OpenSLR 1 in the split of Kaldi's recipe: sorted by name, the first 31 recordings for
training, the last 29 for the test; validation is set aside from the 31, and nothing is chosen on test rows. Names say what
is spoken: 1 for yes, 0 for no. Runs lie in $HORNGATE_BENCH_RUNS (default: below the temporary folder). Results are merged
into benchmarks/results/speech_transcripts.json.
"""

import csv
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from bench import DATA, keep

WORK = Path(os.environ.get("HORNGATE_BENCH_RUNS", Path(tempfile.gettempdir()) / "horngate-bench-speech"))
YESNO = DATA / "speech" / "yesno"
LEARNT = 31  # recordings, by name


def yesno_table(folder: Path) -> Path:
    """Write the table of yesno with its split, and return its path."""
    files = sorted(YESNO.glob("*.wav"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "yesno.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "audio", "text", "split"])
        for place, recording in enumerate(files):
            words = " ".join("yes" if sign == "1" else "no" for sign in recording.stem.split("_"))
            writer.writerow([recording.stem, recording, words, "train" if place < LEARNT else "test"])
    return path


def yesno() -> dict:
    """Learn from 31 recordings and return the scores on the other 29, with the seconds of training."""
    from horngate.pipelines import train
    from horngate.pipelines.runs.run import list_runs
    from horngate.pipelines.speech import Transcribe
    from horngate.pipelines.system.files import read_json

    folder = WORK / "yesno"
    before = list_runs(folder) if folder.is_dir() else []
    card = Transcribe(
        data=str(yesno_table(WORK)), split_column="split", id_column="id", allow_outside=True, output=str(folder)
    )
    run = train(resume=before[-1]) if before else train(card)
    report = read_json(run / "evaluation" / "test" / "report.json")
    scores = {name: [score["value"], score["low"], score["high"]] for name, score in report["metrics"].items()}
    rivals = {name: scores["wer"]["value"] for name, scores in report["references"].items()}
    seconds = {"learning": run.summary["costs_seconds"]["scratch"], "whole training": run.summary["seconds"]}
    counts = report["details"]["errors"]["words"]
    rows = run.summary["rows"]
    return {"scores": scores, "words": counts, "wer of rivals": rivals, "seconds": seconds, "rows": rows}


ROWS = {"yesno": yesno}

if __name__ == "__main__":
    for row in sys.argv[1:] or ROWS:
        keep("speech_transcripts", row, ROWS[row]())
