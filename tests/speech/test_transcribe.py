"""Transcription: recordings with transcripts in, words with times out."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
from moonshine_preset import tiny_moonshine

from horngate.pipelines import check, evaluate, predict, train
from horngate.pipelines.spec.card import changed
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech import Transcribe
from horngate.pipelines.system.files import read_table

pytestmark = pytest.mark.usefixtures("undrawn")

RATE = 8000
TONES = {"low": 300.0, "mid": 900.0, "high": 2400.0}


def said(words: str, seed: int = 0, after: float = 0.0) -> np.ndarray:
    """Return a recording of words: a tone for each, with pauses, and `after` so many seconds of noise."""
    draw = np.random.default_rng(seed)
    parts = [np.zeros(int(draw.uniform(0.05, 0.15) * RATE))]
    for word in words.split():
        times = np.arange(int(draw.uniform(0.14, 0.2) * RATE)) / RATE
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * times) * np.hanning(len(times)), np.zeros(int(0.12 * RATE))]
    parts.append(np.zeros(int(after * RATE)))
    samples = np.concatenate(parts)
    return (samples + draw.normal(0, 1e-3, len(samples))).astype(np.float32)


def write_table(folder, rows: list[tuple[str, str, str]], seed: int = 0):
    """Write a recording for each (name, text that is said, text that stands in the table), and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, (name, words, _) in enumerate(rows):
        soundfile.write(folder / name, said(words, seed + place, after=place % 3 * 0.5), RATE)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "voice"])
        writer.writerows([name, text, f"v{place % 4}"] for place, (name, _, text) in enumerate(rows))
    return folder / "rows.csv"


def phrases(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(list(TONES), draw.integers(1, 5))) for _ in range(count)]


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A table of 72 recordings of tones, written in a mixed fashion."""
    texts = phrases(72)
    rows = [(f"r{place:02d}.wav", text, f"{text.capitalize()}.") for place, text in enumerate(texts)]
    return write_table(tmp_path_factory.mktemp("tones"), rows)


@pytest.fixture(scope="module")
def run(tones, tmp_path_factory):
    """A network that learnt the tones, word by word, with bigrams."""
    card = Transcribe(
        data=str(tones),
        output=str(tmp_path_factory.mktemp("runs")),
        epochs=30,
        batch_size=6,
        width=32,
        depth=2,
        learning_rate=0.004,
        augment="none",
        window=3.0,
        decoding="beam",
        ngram=2,
    )
    return train(card)


def test_tones_are_learnt_and_measured(run):
    report = json.loads((run / "evaluation/test/report.json").read_text())
    assert report["metrics"]["wer"]["value"] < 0.2 < report["references"]["usual_transcript"]["wer"]["value"]
    assert report["metrics"]["wer"]["baseline"] == 1.0
    assert report["protocol"]["normaliser"].startswith("plain: ")
    assert "2-grams" in report["protocol"]["decoding"] and report["protocol"]["tried"]
    counts = report["details"]["errors"]["words"]
    assert counts["total"] == counts["hits"] + counts["substitutions"] + counts["deletions"]
    assert run.labels == {"units": "words", "labels": ["(blank)", "high", "low", "mid"]}


def test_the_page_shows_errors_and_how_worst_transcripts_align(run, tones, tmp_path):
    wrong = write_table(tmp_path / "other", [("a.wav", "low low", "low <b> mid"), ("b.wav", "mid", "mid")])
    evaluate(run, data=str(wrong), output=tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "Worst transcripts" in page and "Most frequent errors" in page and "<b> mid" not in page
    details = json.loads((tmp_path / "out/report.json").read_text())["details"]
    assert [row["id"] for row in details["mistakes"]] == ["a.wav"]
    assert details["errors"]["words"]["total"] == 4


def test_long_recordings_are_cut_and_put_together_with_times(run, tmp_path):
    words = ["low mid high", "mid mid", "high low", "low"] * 3
    parts = [said(text, seed, after=1.0) for seed, text in enumerate(words)]
    soundfile.write(tmp_path / "long.flac", np.concatenate(parts), RATE)
    predict(run, [tmp_path / "long.flac"], tmp_path / "out.jsonl", srt=str(tmp_path / "srt"), vtt=str(tmp_path / "vtt"))
    row = json.loads((tmp_path / "out.jsonl").read_text())
    from horngate.pipelines.metrics.transcripts import compared, measures

    found = measures(compared([" ".join(words)], [row["text"]], [1.0]))
    assert found["wer"][1](np.ones(1)) < 0.2
    assert " ".join(part["text"] for part in row["segments"]) == row["text"]
    starts = [part["start"] for part in row["segments"]]
    assert starts == sorted(starts) and row["segments"][-1]["end"] <= sum(map(len, parts)) / RATE
    assert 8 <= len(row["segments"]) <= 16  # a second of silence ends a phrase
    assert 0 < row["confidence"] <= 1
    (file,) = (tmp_path / "srt").iterdir()
    assert file.name.startswith("long-") and file.read_text().startswith("1\n00:00:0")
    assert next((tmp_path / "vtt").iterdir()).read_text().startswith("WEBVTT\n")


def test_other_rates_and_channels_are_heard_alike(run, tmp_path):
    import soxr

    samples = said("low high mid low", 5)
    soundfile.write(tmp_path / "plain.wav", samples, RATE)
    wide = soxr.resample(samples, RATE, 44100)
    soundfile.write(tmp_path / "wide.flac", np.stack([wide, wide], 1), 44100, "PCM_24")
    predict(run, [tmp_path / "plain.wav", tmp_path / "wide.flac"], tmp_path / "out.jsonl")
    texts = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert texts[0] == texts[1] == "low high mid low"


def test_what_cannot_be_heard_is_an_error_row_and_silence_is_no_text(run, tmp_path):
    (tmp_path / "text.wav").write_text("this is a text")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan, np.float32), RATE, "FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
    soundfile.write(tmp_path / "short.wav", np.full(3, 0.1, np.float32), RATE)
    predict(run, [str(tmp_path / "*.wav")], tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    rows = {row["id"].rsplit("/", 1)[-1]: row for row in rows}
    assert all(rows[name]["error"] for name in ("text.wav", "empty.wav", "none.wav", "nan.wav"))
    assert all(rows[name]["text"] is None for name in ("text.wav", "empty.wav", "none.wav", "nan.wav"))
    assert (rows["silent.wav"]["text"], rows["silent.wav"]["segments"]) == ("", [])
    assert rows["short.wav"]["error"] is None


def test_other_recordings_are_compared_with_those_of_the_training(run, tones, tmp_path):
    found = check(Transcribe(data=str(tones)), against=run.folder)["drift"]
    assert found["alarm"] is False and found["features"]["distance"] is not None


def test_an_answer_does_not_depend_on_its_neighbours(run, tones, tmp_path):
    paths = sorted(tones.parent.glob("r*.wav"))[:9]
    predict(run, paths, tmp_path / "all.parquet")
    predict(run, paths[4:5], tmp_path / "one.parquet")
    together, alone = read_table(tmp_path / "all.parquet").to_pylist(), read_table(tmp_path / "one.parquet").to_pylist()
    assert alone[0] == together[4]


def test_decoding_can_be_changed_and_is_told(run, tmp_path):
    report = evaluate(run, output=tmp_path / "greedy", decoding="greedy")
    assert report.protocol["decoding"].startswith("greedy")
    with pytest.raises(UserError, match="greedy or beam"):
        evaluate(run, output=tmp_path / "x", decoding="magic")
    with pytest.raises(UserError, match="greedy or beam"):
        predict(run, ["sample:spoken-phrases"], tmp_path / "x.parquet", decoding="magic")


def test_greedy_and_beam_scores_lie_in_evaluations_of_their_own_slices(run):
    answers = read_table(run / "evaluation/test/answers.parquet")
    assert {"seconds_heard", "seconds_computed", "recording_length"} <= set(answers.column_names)
    assert all(value > 0 for value in answers["seconds_computed"].to_pylist())


def test_a_model_of_other_units_is_refused(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "copy")
    (tmp_path / "copy/labels.json").write_text('{"units": "words", "labels": ["(blank)", "low"]}')
    with pytest.raises(UserError, match="another number of units"):
        evaluate(tmp_path / "copy", output=tmp_path / "out")


# What check says.


def test_check_tells_of_empty_and_impossible_transcripts(tmp_path):
    rows = [(f"{place}.wav", "low", "low") for place in range(6)]
    rows += [("empty.wav", "low", "?!"), ("fast.wav", "mid", "far too many words for such a short recording " * 3)]
    found = check(Transcribe(data=str(write_table(tmp_path, rows))))
    codes = {finding["code"]: finding for finding in found["findings"]}
    assert codes["too_much_text"]["ids"] == ("fast.wav",)
    assert [row["id"] for row in found["quarantined"]] == ["empty.wav"]
    assert "an empty transcript" in found["quarantined"][0]["reason"]
    assert found["targets"] == {"transcripts": 7}


def test_check_warns_of_signs_that_training_rows_do_not_hold(tmp_path):
    path = write_table(tmp_path, [(f"{place}.wav", "low", "ab ba" if place < 5 else "ab xyz") for place in range(6)])
    lines = path.read_text().splitlines()
    splits = ["split", *["train"] * 5, "test"]
    path.write_text("\n".join(f"{line},{split}" for line, split in zip(lines, splits, strict=True)) + "\n")
    found = check(changed(Transcribe(data=str(path), split_column="split"), {"units": "characters"}, "test"))
    (finding,) = [one for one in found["findings"] if one["code"] == "unseen_units"]
    assert finding["grade"] == "warning" and '"x"' in finding["message"] and finding["ids"] == ("5.wav",)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"ngram": 2}, "--decoding beam"),
        ({"words": "nowhere.txt"}, "--decoding beam"),
        ({"words": "nowhere.txt", "decoding": "beam"}, "can't be read"),
        ({"ngram_text": "nowhere.txt", "decoding": "beam"}, "--ngram"),
        ({"method": "finetune"}, "--backbone"),
        ({"method": "untuned"}, "--backbone"),
        ({"backbone": "x", "method": "scratch"}, "leave --backbone out"),
        ({"backbone": "x", "decoding": "beam"}, "--decoding"),
        ({"backbone": "x", "rate": 8000}, "16,000"),
        ({"backbone": "x", "weights": "file.h5"}, "its own weights"),
    ],
)
def test_knobs_that_do_not_go_together_are_one_line(tones, tmp_path, knobs, message):
    with pytest.raises(UserError, match=message) as problem:
        train(Transcribe(data=str(tones), output=str(tmp_path), **knobs))
    assert "\n" not in str(problem.value)


def test_a_folder_that_is_no_preset_is_one_line(tones, tmp_path):
    (tmp_path / "preset").mkdir()
    with pytest.raises(UserError, match="Moonshine preset"):
        train(Transcribe(data=str(tones), output=str(tmp_path / "runs"), backbone=str(tmp_path / "preset")))


# Layouts of public sets.


def test_libri_speech_gives_transcripts_and_speakers(tmp_path):
    for speaker in ("84", "174"):
        folder = tmp_path / "LibriSpeech/dev-clean" / speaker / "1"
        folder.mkdir(parents=True)
        for number in range(2):
            soundfile.write(folder / f"{speaker}-1-000{number}.flac", said("low mid", number), RATE)
        lines = [f"{speaker}-1-000{number} LOW MID\n" for number in range(2)]
        (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))
    found = check(Transcribe(data=str(tmp_path / "LibriSpeech")))
    assert (found["usable"], found["splits"]) == (4, {"validation": 4})
    note = next(one for one in found["findings"] if one["code"] == "words")
    assert note["message"].startswith("8 words, 2 different ones")


# Moonshine.


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return tiny_moonshine(tmp_path_factory.mktemp("preset") / "tiny", [f"{text}." for text in phrases(60)])


@pytest.fixture(scope="module")
def tuned(preset, tones, tmp_path_factory):
    """A preset that went on learning for a moment."""
    few = tmp_path_factory.mktemp("few")
    rows = [(f"{place}.wav", text, f"{text}.") for place, text in enumerate(phrases(12, 3))]
    card = Transcribe(
        data=str(write_table(few, rows)),
        output=str(tmp_path_factory.mktemp("runs")),
        backbone=str(preset),
        method="finetune",
        epochs=1,
        batch_size=6,
        window=3.0,
    )
    return train(card)


def test_moonshine_goes_on_from_a_preset_and_answers_from_its_run_alone(tuned, preset, tmp_path):
    report = json.loads((tuned / "evaluation/test/report.json").read_text())
    assert report["protocol"]["method"] == "finetune" and report["protocol"]["decoding"].startswith("token by token")
    assert (tuned / "tokenizer.spm").is_file() and not (tuned / "labels.json").exists()
    moved = shutil.copytree(tuned.folder, tmp_path / "moved")
    soundfile.write(tmp_path / "a.wav", said("low mid", 1), RATE)
    predict(moved, [tmp_path / "a.wav"], tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert row["error"] is None and isinstance(row["text"], str) and 0 <= row["confidence"] <= 1


def test_moonshine_is_not_asked_where_there_is_nothing_to_hear(tuned, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
    predict(tuned, [tmp_path / "silent.wav"], tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["text"], row["confidence"], row["segments"]) == ("", 1.0, [])


def test_moonshine_is_neither_exported_nor_searched(tuned, tmp_path, cli):
    code, _, err = cli("export", tuned.folder, "--format", "onnx", "-o", tmp_path / "bundle")
    assert code == 1 and "token by token" in err and len(err.strip().splitlines()) == 1
    with pytest.raises(UserError, match="--beam"):
        evaluate(tuned, output=tmp_path / "x", beam=4)


def test_a_damaged_tokenizer_is_named(tuned, tmp_path):
    shutil.copytree(tuned.folder, tmp_path / "copy")
    (tmp_path / "copy/tokenizer.spm").write_bytes(b"no tokenizer")
    with pytest.raises(UserError, match="tokenizer.spm"):
        evaluate(tmp_path / "copy", output=tmp_path / "out")


def test_windows_of_moonshine_are_stitched_and_each_is_a_segment():
    from horngate.pipelines.speech.transcribe.moonshine_decoder import MoonshineDecoder
    from horngate.pipelines.speech.transcribe.windows import Window

    cut = [Window(0, 100, 0, 120, True), Window(100, 200, 80, 200, False), Window(200, 300, 200, 300, True)]
    heard = [("We went to the old", 0.9), ("the old mill.", 0.4), ("", 1.0)]
    told = MoonshineDecoder(10).transcript(cut, heard)
    assert told.text == "We went to the old mill."
    assert told.segments == [(0.0, 10.0, "We went to the old"), (10.0, 20.0, "mill.")]
    assert told.confidence == pytest.approx(0.6)
