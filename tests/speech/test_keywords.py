"""Keywords: front end and networks, random views, what a report says, and listening to streams."""

import io
import json
import os
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from horngate.models.costs import multiply_adds
from horngate.models.network import Network
from horngate.models.saving import open_model
from horngate.models.speech.keywords import keyword_encoder
from horngate.models.speech.spectra import LogMel, Masking, WhisperMel, mel_filters
from horngate.pipelines.data.samples import spoken_words
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.metrics.trials import det, eer
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech import Keywords
from horngate.pipelines.speech.audio.backgrounds import backgrounds
from horngate.pipelines.speech.audio.decoding import flowing, resampled, sound_of, written
from horngate.pipelines.speech.audio.views import View, noisy
from horngate.pipelines.speech.keywords import listen
from horngate.pipelines.speech.keywords.details import by_speaker
from horngate.pipelines.speech.keywords.streaming import Events, Manner, Windows
from horngate.pipelines.statistics.intervals import Uncomputable
from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import task_of
from horngate.pipelines.verbs.scores import reference_scores

pytestmark = pytest.mark.usefixtures("undrawn")

RATE, SAMPLES = 8000, 4000


def noise_of(rows: int, samples: int = SAMPLES, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, (rows, samples)).astype(np.float32)


def clip():
    return sound_of(spoken_words.table()["value"][0].as_py(), 60.0)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return Network.around(keyword_encoder("ds-tc-resnet", RATE, SAMPLES, Masking(stretch=0.1)), 35, False)


@pytest.fixture(scope="module")
def opened(tiny_runs):
    run = tiny_runs("speech", "keywords")
    return task_of(run.card).opened(run)


# Front end and networks


def test_log_mel_is_what_a_fourier_transform_gives():
    layer, clips = LogMel(RATE, span=None), noise_of(2)
    frames = np.lib.stride_tricks.sliding_window_view(clips, layer.length, axis=1)[:, :: layer.step]
    powers = np.abs(np.fft.rfft(frames * np.hanning(200) * 2 / 200, 256)) ** 2
    wanted = np.log10(np.maximum(powers @ mel_filters(40, 129, RATE, 60.0, 3800.0), 1e-10))
    assert np.abs(np.asarray(layer(clips)) - wanted).max() < 1e-4
    assert layer.compute_output_shape((2, SAMPLES)) == wanted.shape


def test_neither_level_nor_silence_around_a_clip_changes_what_is_heard():
    layer, clips = LogMel(RATE), noise_of(2)
    padded = np.pad(clips, ((0, 0), (800, 800)))
    assert np.abs(np.asarray(layer(clips)) - np.asarray(layer(clips / 8))).max() < 1e-3
    assert np.abs(np.asarray(layer(clips)) - np.asarray(layer(padded))[:, 10:-10]).max() < 1e-6
    assert np.asarray(layer(np.zeros((1, SAMPLES), np.float32))).max() == 1.0


def test_whispers_spectra_are_those_of_its_own_converter():
    import keras_hub

    clips = noise_of(1, 16_000)
    wanted = np.asarray(keras_hub.layers.WhisperAudioConverter(max_audio_length=1)(clips))
    assert np.abs(np.asarray(WhisperMel()(clips)) - wanted).max() < 1e-4


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_the_convolutional_network_stays_below_a_hundred_thousand_parameters(rate):
    encoder = keyword_encoder("ds-tc-resnet", rate, rate, Masking())
    assert 50_000 < Network.around(encoder, 35, False).answers.count_params() < 100_000


def test_masks_and_stretches_happen_while_learning_alone():
    layer = Masking(stretch=0.2, tempo=0.2, tilt=0.2, seed=1)
    levels = np.linspace(-1, 1, 2 * 30 * 40).reshape(2, 30, 40).astype(np.float32)
    assert np.array_equal(np.asarray(layer(levels)), levels)
    changed = np.asarray(layer(levels, training=True))
    assert changed.shape == levels.shape and np.abs(changed - levels).max() > 0.05
    nothing = Masking(times=0, bands=0)
    assert np.array_equal(np.asarray(nothing(levels, training=True)), levels)


@pytest.mark.parametrize("name", ["ds-tc-resnet", "transformer"])
def test_a_saved_network_opens_and_answers_the_same(name, tmp_path):
    answers = Network.around(keyword_encoder(name, RATE, SAMPLES, Masking(tilt=0.1)), 3, False).answers
    head, draw = answers.get_layer("head"), np.random.default_rng(0)
    head.set_weights([draw.normal(size=part.shape) for part in head.get_weights()])
    answers.save(tmp_path / "model.keras")
    clips = noise_of(2)
    assert (
        np.abs(open_model(tmp_path / "model.keras").predict_on_batch(clips) - answers.predict_on_batch(clips)).max()
        < 1e-6
    )


def test_multiply_adds_are_counted_at_every_place():
    inputs = keras.Input((10, 4))
    x = keras.layers.Conv1D(8, 3, strides=2, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    assert multiply_adds(model) == 5 * 3 * 4 * 8 + 8 * 2


def presets(folder):
    import keras_hub

    keras.utils.set_random_seed(0)
    small = {"vocabulary_size": 32, "hidden_dim": 16, "intermediate_dim": 32}
    moonshine = keras_hub.models.MoonshineBackbone(
        filter_dim=16, encoder_num_layers=1, decoder_num_layers=1, encoder_num_heads=2, decoder_num_heads=2, **small
    )
    whisper = keras_hub.models.WhisperBackbone(num_layers=1, num_heads=2, max_encoder_sequence_length=200, **small)
    for name, backbone in (("moonshine", moonshine), ("whisper", whisper)):
        backbone.save_to_preset(str(folder / name))
    return folder


def test_encoders_of_local_presets_hear_16_khz_and_learn(cli, tmp_path):
    folder = presets(tmp_path)
    words = (
        "speech",
        "keywords",
        "train",
        "--data",
        "sample:spoken-words",
        "--augment",
        "none",
        "-o",
        tmp_path / "runs",
    )
    code, out, err = cli(*words, "--backbone", folder / "moonshine", "--method", "probe", "--epochs", "1")
    assert code == 0, err
    schema = json.loads((Path(out.strip()) / "schema.json").read_text())
    assert schema["rate"] == 16_000 and "no pretrained weights" not in err
    code, _, err = cli(*words, "--backbone", folder / "whisper", "--rate", "8000")
    assert code == 1 and "16,000" in err.strip().splitlines()[-1]
    code, _, err = cli(*words, "--backbone", tmp_path / "nothing")
    assert code == 1 and "Whisper or Moonshine" in err.strip().splitlines()[-1]


def test_whispers_encoder_gives_features_of_samples(tmp_path):
    from horngate.models.speech.encoders import speech_encoder

    encoder = speech_encoder(str(presets(tmp_path) / "whisper"), 16_000)
    features = encoder.predict_on_batch(noise_of(2, 16_000))
    assert features.shape == (2, 16) and np.abs(features[0] - features[1]).max() > 0


# Random views and noise


def test_a_view_depends_on_its_seed_alone():
    heard = [View("strong", seed).heard(clip(), RATE, SAMPLES) for seed in ((0, 1, 2), (0, 1, 2), (0, 1, 3))]
    assert np.array_equal(heard[0], heard[1]) and not np.array_equal(heard[0], heard[2])
    assert heard[0].dtype == np.float32 and heard[0].shape == (SAMPLES,) and np.isfinite(heard[0]).all()


def test_noise_has_the_ratio_that_was_asked_for():
    samples = np.sin(np.arange(SAMPLES)).astype(np.float32)
    for ratio in (20.0, 0.0):
        added = noisy(samples, ratio, 1.0, np.random.default_rng(0)) - samples
        measured = 10 * np.log10(np.square(samples).mean() / np.square(added).mean())
        assert abs(measured - ratio) < 0.1


def test_recorded_noise_is_mixed_in_at_random_places():
    hum = np.sin(2 * np.pi * 50 / RATE * np.arange(3 * SAMPLES)).astype(np.float32)
    hummed = 0
    for seed in range(40):
        plain, mixed = (
            View("light", (seed,), noises).heard(clip(), RATE, SAMPLES) for noises in ((), (hum, hum[:900]))
        )
        levels = [np.abs(np.fft.rfft(one))[25] / np.sqrt(np.square(one).sum()) for one in (plain, mixed)]
        hummed += levels[1] > 2 * levels[0] + 1
    assert 2 <= hummed <= 14  # 0.3 of the clips are put into noise, half of them into a recorded one


def test_noises_that_cannot_be_mixed_in_are_one_line(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        backgrounds(str(tmp_path / "nowhere"), RATE)
    with pytest.raises(UserError, match="holds no recordings"):
        backgrounds(str(tmp_path), RATE)
    (tmp_path / "rain.wav").write_bytes(written(noise_of(1, 16_000)[0], 16_000))
    (kept,) = backgrounds(str(tmp_path), RATE)
    assert len(kept) == 8000 and kept.dtype == np.float32
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"text\.wav can't be read: no sound"):
        backgrounds(str(tmp_path), RATE)
    (tmp_path / "text.wav").write_bytes(written(np.zeros(100), RATE))
    with pytest.raises(UserError, match=r"text\.wav is silent"):
        backgrounds(str(tmp_path), RATE)
    with pytest.raises(UserError, match="--augment"):
        _ = task_of(Keywords(data="x", noises=str(tmp_path), augment="none")).reader


# Measures


def outcome_of(scores, truth) -> Outcome:
    scores = np.asarray(scores, np.float32)
    return Outcome(np.eye(scores.shape[1], dtype=np.float32)[truth], scores, scores.argmax(1))


def test_the_equal_error_rate_is_where_misses_equal_false_alarms():
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 200)
    found = outcome_of(draw.normal(size=(200, 3)) + 1.5 * np.eye(3)[truth], truth)
    hits, others = found.scores[found.targets > 0], found.scores[found.targets == 0]
    gaps = [abs((hits < edge).mean() - (others >= edge).mean()) for edge in np.unique(found.scores)]
    edge = np.unique(found.scores)[int(np.argmin(gaps))]
    wanted = ((hits < edge).mean() + (others >= edge).mean()) / 2
    assert eer(found)(np.ones(200)) == pytest.approx(wanted, abs=0.005)
    taken, missed = det(found)
    assert taken[0] == 1.0 and missed[0] == 0.0 and (np.diff(taken) <= 0).all() and (np.diff(missed) >= 0).all()


def test_the_equal_error_rate_of_perfect_and_of_equal_scores():
    truth = np.array([0, 1, 1, 0])
    assert eer(outcome_of(np.eye(2)[truth], truth))(np.ones(4)) == 0.0
    assert eer(outcome_of(np.full((4, 2), 0.5), truth))(np.ones(4)) == pytest.approx(0.5)
    assert np.isnan(eer(outcome_of(np.eye(2)[truth], truth))(np.zeros(4)))
    with pytest.raises(Uncomputable):
        eer(Outcome(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.int64)))


def test_speakers_stand_worst_first_with_exact_intervals():
    found = by_speaker(["anna", "anna", "bert", None], np.array([True, True, False, True]))
    assert [(part["speaker"], part["rows"], part["accuracy"]) for part in found] == [("bert", 1, 0.0), ("anna", 2, 1.0)]
    assert found[0]["high"] == pytest.approx(0.975) and found[1]["low"] == pytest.approx(0.025**0.5)


# What a report says


def test_a_report_says_who_was_misheard_what_noise_does_and_what_an_answer_costs(tiny_runs):
    run = tiny_runs("speech", "keywords")
    report = json.loads((run / "evaluation/test/report.json").read_text())
    details = report["details"]
    assert {"accuracy", "macro_f1", "eer"} <= report["metrics"].keys() and "mfcc_kernel_ridge" in report["references"]
    assert sum(part["rows"] for part in details["speakers"]) == report["rows"]
    assert details["noise"]["clean"] == pytest.approx(report["metrics"]["accuracy"]["value"])
    assert {part["snr"] for part in details["noise"]["sweep"]} == {20.0, 10.0, 5.0, 0.0}
    assert details["costs"]["parameters"] < 100_000 < details["costs"]["multiply_adds"]
    assert details["costs"]["real_time_factor"] > 0


def test_a_reference_is_drawn_by_groups_as_the_model_is():
    truth, card = ["go", "stop"] * 20, Keywords(data="x")
    task = task_of(card).with_fitted(Fitted(decisions=Labels.learnt(truth, card)))
    scores = np.tile(np.eye(2, dtype=np.float32), (20, 1))
    scores[:10] = scores[:10, ::-1]  # the first group is always misheard
    groups = {"rows": [None] * 40, "four": [str(row // 10) for row in range(40)], "one": ["a"] * 40}
    found = reference_scores(task, dict.fromkeys(groups, task.learner.outcome_of(scores, truth)), groups)
    rows, four, one = (found[name]["accuracy"] for name in groups)
    assert rows["value"] == four["value"] == one["value"] == 0.75 and one["low"] is None
    assert four["high"] - four["low"] > 1.5 * (rows["high"] - rows["low"])


def test_a_page_plays_its_mistakes_and_asks_for_nothing_from_elsewhere(tiny_runs):
    text = (tiny_runs("speech", "keywords") / "evaluation/test/report.html").read_text()
    assert "media-src data:" in text and "Detection error tradeoff" in text and "Accuracy in noise" in text
    sounds = re.findall(r'<audio[^>]* src="data:audio/wav;base64,([^"]+)"', text)
    assert sounds and "http://" not in text.replace("http://www.w3.org", "")
    from base64 import b64decode

    assert len(sound_of(b64decode(sounds[0]), 60.0).samples) > 500


# Listening


def stream_of(words: int = 6, seed: int = 0) -> np.ndarray:
    draw, clips = np.random.default_rng(seed), spoken_words.table()["value"]
    parts = [np.zeros(4000, np.float32)]
    for row in draw.permutation(len(clips))[:words]:
        parts += [sound_of(clips[int(row)].as_py(), 60.0).samples, np.zeros(int(draw.integers(4000, 9000)), np.float32)]
    return np.concatenate(parts) + draw.normal(0, 0.001, sum(map(len, parts))).astype(np.float32)


def pieces(samples: np.ndarray, rate: int, seed: int = 0):
    draw, start = np.random.default_rng(seed), 0
    while start < len(samples):
        size = int(draw.integers(1, 3 * rate // 4))
        yield samples[start : start + size], rate
        start += size


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_streamed_scores_equal_offline_ones_however_the_stream_is_cut(rate, opened):
    samples = resampled(stream_of(), 8000, rate)
    length = opened.fitted.schema["samples"]
    whole = Windows(length, 800)
    heard = resampled(samples, rate, 8000)
    offline = listen.scores_of(opened, np.concatenate([whole.push(heard), whole.end()]))
    windows = listen.cut(pieces(samples, rate), Windows(length, 800), 8000)
    streamed = np.concatenate([listen.scores_of(opened, clips) for clips in windows])
    assert abs(len(streamed) - len(offline)) <= 1
    assert np.abs(streamed[: len(offline)] - offline[: len(streamed)]).max() < 1e-4


def test_windows_cover_a_stream_from_its_first_sample_to_its_last():
    windows = Windows(10, 4)
    found = np.concatenate([windows.push(np.arange(1.0, 8, dtype=np.float32)), windows.end()])
    assert found[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert found[-1][:5].max() >= 7 and set(range(1, 8)) <= set(found.ravel().tolist())


def events_of(scores, powers=None, **manner) -> list[dict]:
    scores = np.asarray(scores, np.float32)
    powers = np.ones(len(scores)) if powers is None else np.asarray(powers)
    made = Events(("yes", "no", "_noise"), [2], 0.5, Manner(**{"smoothing": 0.1, "gate": 0.0} | manner))
    return made.push(scores, powers) + made.end()


def test_an_event_stands_where_its_score_is_highest_and_is_told_once():
    scores = [[0, 0, 1]] * 5 + [[0.7, 0, 0], [0.9, 0, 0], [0.8, 0, 0]] + [[0, 0, 1]] * 10 + [[0, 0.8, 0]] * 2
    first, second = events_of(scores)
    assert (first["label"], first["score"]) == ("yes", pytest.approx(0.9)) and second["label"] == "no"
    assert first["end"] == pytest.approx(0.7) and first["start"] == pytest.approx(0.2)


def test_nothing_is_told_within_the_refractory_time_nor_below_the_threshold_nor_of_ignored_labels():
    again = [[0.9, 0, 0]] * 2 + [[0, 0, 1]] * 4 + [[0.9, 0, 0]] * 2
    assert len(events_of(again, refractory=2.0)) == 1 and len(events_of(again, refractory=0.0)) == 2
    assert events_of([[0.5, 0.5, 0]] * 9) == [] and events_of([[0, 0, 1]] * 9) == []


def test_silence_and_steady_noise_are_no_keywords():
    loud = [[0.9, 0.1, 0]] * 20
    assert events_of(loud, np.zeros(20)) == []
    assert events_of(loud, np.full(20, 0.01), gate=6.0) == []
    assert len(events_of(loud, [0.001] * 10 + [0.1] * 2 + [0.001] * 8, gate=6.0)) >= 1


def test_listen_writes_events_of_a_file_and_of_a_pipe_as_json_lines(tiny_runs, cli, tmp_path, monkeypatch):
    run, path = tiny_runs("speech", "keywords"), tmp_path / "long.wav"
    samples = stream_of()
    path.write_bytes(written(samples, RATE))
    raw = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    asked = ("speech", "keywords", "listen", run.folder)
    code, out, err = cli(*asked, path, "--threshold", "0.13", "--smoothing", "0")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and events, err
    assert all(event["start"] <= event["time"] <= event["end"] for event in events)
    monkeypatch.setattr(sys, "__stdin__", piped(raw))
    code, out, _ = cli(*asked, "-", "--rate", RATE, "--threshold", "0.13", "--smoothing", "0")
    heard = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [event["time"] for event in heard] == [event["time"] for event in events]
    code, out, _ = cli(*asked, path, "--windows")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and lines[1]["end"] == 0.2 and len(lines[0]["scores"]) == 8


def piped(data: bytes):
    """Return a standard input that holds some bytes."""
    reading, writing = os.pipe()
    import threading

    def feed():
        with os.fdopen(writing, "wb") as out:
            out.write(data)

    threading.Thread(target=feed, daemon=True).start()
    return io.TextIOWrapper(os.fdopen(reading, "rb"))


def test_what_listen_cannot_hear_is_one_line(tiny_runs, cli, tmp_path, monkeypatch):
    run, path = tiny_runs("speech", "keywords"), tmp_path / "text.wav"
    path.write_text("no sound")
    asked = ("speech", "keywords", "listen", run.folder)
    for source, said in ((path, "no sound"), (tmp_path / "missing.wav", "doesn't exist"), (tmp_path, "is a folder")):
        code, out, err = cli(*asked, source)
        assert (code, out) == (1, "") and said in err and len(err.strip().splitlines()) == 1
    code, _, err = cli(*asked, path, "--ignore", "maybe")
    assert code == 1 and '"maybe" is no label' in err
    monkeypatch.setattr(sys, "__stdin__", piped(written(np.zeros(100), RATE)))
    code, _, err = cli(*asked, "-")
    assert code == 1 and "not raw samples" in err
    monkeypatch.setattr(sys, "__stdin__", piped(b""))
    assert "nothing came" in cli(*asked, "-")[2]


def test_rates_flow_as_they_are_resampled_at_once():
    samples = stream_of(2)
    change = flowing(8000, 16_000)
    parts = [change.resample_chunk(part) for part, _ in pieces(samples, 8000)]
    joined = np.concatenate([*parts, change.resample_chunk(np.zeros(0, np.float32), last=True)])
    whole = resampled(samples, 8000, 16_000)
    assert np.abs(joined[: len(whole)] - whole[: len(joined)]).max() < 1e-5


# Bad input


def test_recordings_that_cannot_be_used_are_error_rows_in_their_places(tiny_runs, cli, tmp_path):
    files = {"text.wav": b"no sound", "empty.wav": b"", "bare.wav": written(np.zeros(0), RATE)}
    files["fine.wav"] = written(stream_of(1)[4000:8000], 44_100)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in (*files, "missing.wav")]
    code, out, err = cli("predict", tiny_runs("speech", "keywords").folder, *paths, "-o", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "4 of 5" in err
    for row, said in zip(rows, ("no sound", "empty: 0 bytes", "no samples", None, "missing"), strict=True):
        assert row["error"] is None if said is None else said in row["error"]
    assert rows[3]["label"] in spoken_words.table()["target"].to_pylist()


def test_the_example_of_an_export_reads_what_the_run_reads(opened, tmp_path):
    path, names = tmp_path / "clip.wav", {}
    exec(opened.exporter.reading(), names)  # the source that a bundle carries
    for samples, rate in ((stream_of(1)[4000:6000], 8000), (stream_of(3), 44_100), (stream_of(3), 8000)):
        path.write_bytes(written(samples, rate))
        assert np.array_equal(names["read"](path), opened.reader.read(path.read_bytes()))


def test_several_labels_of_a_clip_are_learnt_together(cli, tmp_path):
    clips, rows = spoken_words.table().slice(0, 48), ["path,labels"]
    for number, (word, data) in enumerate(zip(*(clips[name].to_pylist() for name in ("target", "value")), strict=True)):
        (tmp_path / f"{number:02d}.wav").write_bytes(data)
        rows.append(f"{number:02d}.wav,{word}|{'short' if len(word) == 2 else 'long'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    words = ("speech", "keywords", "train", "--data", tmp_path / "clips.csv", "--label-separator", "|", "--epochs", "1")
    code, out, err = cli(*words, "--augment", "light", "-o", tmp_path / "runs")
    assert code == 0, err
    report = json.loads((Path(out.strip()) / "evaluation/test/report.json").read_text())
    assert "micro_f1" in report["metrics"] and "eer" not in report["metrics"]
