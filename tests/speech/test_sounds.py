"""Sound files: what is read, what is converted, what is refused and why, and what `check` says of them."""

import csv
import sys
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import examples
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.speech import Keywords
from horngate.pipelines.speech.audio.audio_input import loudest, placed
from horngate.pipelines.speech.audio.checks import common_rate, sound_findings, speaker_findings, speaker_part
from horngate.pipelines.speech.audio.decoding import SUFFIXES, Sound, chunks_of, resampled, sound_of
from horngate.pipelines.speech.audio.facts import facts_of

LONGEST = 60.0


def tone(frequency: float = 440.0, rate: int = 8000, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def file_of(samples, rate: int = 8000, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    out = BytesIO()
    soundfile.write(out, samples, rate, subtype, format=kind)
    return out.getvalue()


def facts(samples, rate: int = 8000, subtype: str = "PCM_16"):
    return facts_of(sound_of(file_of(samples, rate, subtype), LONGEST))


def sized(data: bytes, promised: int) -> bytes:
    """Return a WAV file whose header promises so many bytes of samples."""
    place = data.index(b"data") + 4
    return data[:place] + promised.to_bytes(4, "little") + data[place + 4 :]


def rated(data: bytes, rate: int) -> bytes:
    place = data.index(b"fmt ") + 12
    return data[:place] + rate.to_bytes(4, "little") + data[place + 4 :]


BROKEN = {
    "no sound: it begins with": b"hello, this is text and not a recording at all",
    "no samples": file_of(np.zeros(0, np.float32)),
    "truncated": sized(file_of(tone()), 100_000),
    "which can't be true": rated(file_of(tone()), 7),
    "NaN or infinity": file_of(np.array([0.1, np.nan, 0.2], np.float32), subtype="FLOAT"),
    "too long: 1,800 seconds": file_of(np.zeros(1800 * 2000, np.float32), 2000, kind="FLAC"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_is_no_usable_recording_is_refused_with_its_reason(reason):
    with pytest.raises(Unreadable, match=reason):
        sound_of(BROKEN[reason], LONGEST)


@pytest.mark.parametrize(
    ("subtype", "kind", "said"),
    [("PCM_24", "WAV", "24 bit"), ("FLOAT", "WAV", "float"), ("PCM_U8", "WAV", "u8 bit"), ("VORBIS", "OGG", "vorbis")],
)
def test_other_codings_are_heard_as_the_same_sound_and_told(subtype, kind, said):
    sound = sound_of(file_of(tone(seconds=1.0), subtype=subtype, kind=kind), LONGEST)
    assert said in sound.converted and sound.rate == 8000
    assert np.abs(sound.samples[500:7000] - tone(seconds=1.0)[500:7000]).max() < 0.02


@pytest.mark.parametrize("channels", [1, 2])
def test_plain_wav_files_are_heard_as_libsndfile_hears_them(channels, monkeypatch):
    samples = np.random.default_rng(0).uniform(-1, 1, (500, channels)).astype(np.float32)
    samples[:2] = [[1.0], [-1.0]]
    data = file_of(samples)
    short = sound_of(data, LONGEST)
    monkeypatch.setattr("horngate.pipelines.speech.audio.decoding._plain", lambda data: None)
    long = sound_of(data, LONGEST)
    assert np.array_equal(short.samples, long.samples) and short.samples.dtype == np.float32
    assert {**vars(short), "samples": None} == {**vars(long), "samples": None}


def test_eight_channels_at_192_khz_become_one_at_the_rate_asked_for():
    wide = np.repeat(tone(rate=192_000, seconds=0.5)[:, None], 8, axis=1)
    sound = sound_of(file_of(wide, 192_000), LONGEST)
    heard = resampled(sound.samples, sound.rate, 8000)
    assert sound.channels == 8 and "8 channels" in sound.converted
    assert abs(len(heard) - 4000) <= 1 and np.abs(heard[200:3800] - tone()[200:3800]).max() < 0.01


def test_what_lies_above_half_the_rate_is_gone_and_not_folded_back():
    mixed = tone(440, 16_000) + tone(6000, 16_000)
    heard = resampled(mixed, 16_000, 8000)
    assert np.abs(heard[200:3800] - tone(440)[200:3800]).max() < 0.01


def test_channels_that_cancel_leave_the_loudest():
    sound = sound_of(file_of(np.stack([tone(), -tone()], 1)), LONGEST)
    assert "2 channels that cancel: the loudest" in sound.converted
    assert np.abs(sound.samples).max() > 0.4


def test_a_suffix_that_disagrees_is_told():
    assert (
        "a suffix that disagrees with the content" in sound_of(file_of(tone(), kind="FLAC"), LONGEST, ".wav").converted
    )


def test_a_stream_of_unknown_length_is_read_to_its_end():
    sound = sound_of(sized(file_of(tone()), 0xFFFFFFFF), LONGEST)
    assert len(sound.samples) == 4000


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_a_missing_package_names_the_extra(package, monkeypatch):
    data = file_of(tone(), kind="FLAC")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"install horngate\[speech\]"):
        resampled(sound_of(data, LONGEST).samples, 8000, 16_000)


def test_a_file_comes_in_pieces_that_make_the_whole(tmp_path):
    path = tmp_path / "long.flac"
    path.write_bytes(file_of(np.stack([tone(seconds=3.2)] * 2, 1), kind="FLAC"))
    parts = list(chunks_of(path, seconds=1.0))
    assert [len(part) for part, _ in parts] == [8000, 8000, 8000, 1600]
    assert np.allclose(np.concatenate([part for part, _ in parts]), sound_of(path.read_bytes(), LONGEST).samples)


def test_the_loudest_part_of_a_long_clip_is_kept_and_a_short_one_is_padded():
    clip = np.concatenate([np.zeros(3000), tone(seconds=0.2), np.zeros(3000)]).astype(np.float32)
    assert np.array_equal(np.trim_zeros(loudest(clip, 2000)), np.trim_zeros(clip))
    assert placed(np.ones(2, np.float32), 6).tolist() == [0, 0, 1, 1, 0, 0]


def codes(found) -> set[str]:
    return {finding.code for finding in found}


def test_levels_cuts_and_offsets_are_found():
    table = pa.table({"id": ["clipped", "silent", "offset", "fine"]})
    seen = [facts(np.clip(3 * tone(), -1, 1)), facts(0.0002 * tone()), facts(tone(level=0.3) + 0.1), facts(tone())]
    found = {finding.code: finding.ids for finding in sound_findings(table, seen)}
    assert (found["clipping"], found["silence"], found["dc_offset"]) == (("clipped",), ("silent",), ("offset",))


def test_a_rate_that_makes_as_many_samples_shorter_is_doubted():
    table = pa.table({"id": [str(row) for row in range(8)]})
    seen = [facts(tone(seconds=0.5)) for _ in range(5)] + [facts(tone(seconds=0.5), 16_000) for _ in range(3)]
    found = {finding.code: finding for finding in sound_findings(table, seen)}
    assert found["doubtful_rate"].rows == 3 and "16,000" in found["doubtful_rate"].message
    honest = seen[:5] + [facts(tone(rate=16_000), 16_000) for _ in range(3)]
    assert "doubtful_rate" not in codes(sound_findings(table, honest))
    assert common_rate(seen) == 8000


NAMES = [
    f"{digit}_{speaker}_{take}.wav" for digit in range(4) for speaker in ("anna", "bert", "carl") for take in range(3)
]


def test_a_speaker_in_file_names_without_a_group_is_warned_of():
    targets = [name[0] for name in NAMES]
    assert speaker_part(NAMES, targets) == (2, ["anna", "bert", "carl"])
    table = pa.table({"id": NAMES, "target": targets, "group": pa.nulls(len(NAMES), pa.string())})
    (found,) = speaker_findings(table)
    assert '"anna"' in found.message and "--group-column" in found.message
    grouped = table.set_column(2, "group", pa.array([name.split("_")[1] for name in NAMES]))
    assert speaker_findings(grouped) == []


def test_takes_and_labels_in_file_names_are_no_speakers():
    assert speaker_part([f"{digit}_{take:03d}.wav" for digit in "0123" for take in range(9)], list("0123") * 9) is None
    words = [f"{word}_{take}.wav" for word in ("yes", "no", "up") for take in range(9)]
    assert speaker_part(words, [name.split("_")[0] for name in words]) is None


def rows_of(folder) -> list[dict]:
    return examples(Keywords(data=str(folder)), SUFFIXES, Listing()).to_pylist()


def test_librispeech_gives_transcripts_speakers_and_splits(tmp_path):
    for part, speaker in (("train-clean-5", "84"), ("dev-clean-2", "26"), ("test-clean", "61")):
        chapter = tmp_path / part / speaker / "7"
        chapter.mkdir(parents=True)
        (chapter / f"{speaker}-7.trans.txt").write_text(f"{speaker}-7-0000 HELLO WORLD\n{speaker}-7-0001 GOOD BYE\n")
        (chapter / f"{speaker}-7-0000.flac").write_bytes(file_of(tone(), kind="FLAC"))
    rows = {row["id"]: row for row in rows_of(tmp_path)}
    assert rows["84-7-0000"]["target"] == "HELLO WORLD" and rows["84-7-0000"]["group"] == "84"
    assert [rows[f"{name}-7-0000"]["split"] for name in ("84", "26", "61")] == ["train", "validation", "test"]
    assert len(rows) == 6 and rows["84-7-0001"]["input"].endswith(b"84-7-0001.flac")


def test_common_voice_gives_sentences_speakers_and_splits(tmp_path):
    (tmp_path / "clips").mkdir()
    for name, split in (("train", "a"), ("dev", "b"), ("test", "c")):
        with (tmp_path / f"{name}.tsv").open("w", newline="") as file:
            table = csv.writer(file, delimiter="\t")
            table.writerow(["client_id", "path", "sentence", "gender"])
            table.writerow([f"voice-{split}", f"{split}.mp3", f"say {split}", "female"])
    rows = rows_of(tmp_path)
    assert [(row["target"], row["group"], row["split"]) for row in rows] == [
        ("say a", "voice-a", "train"),
        ("say b", "voice-b", "validation"),
        ("say c", "voice-c", "test"),
    ]
    assert rows[0]["gender"] == "female" and rows[0]["input"].endswith(b"clips/a.mp3")


def test_speech_commands_keep_their_lists_and_speakers(tmp_path):
    for name in ("yes/aa_nohash_0.wav", "yes/bb_nohash_0.wav", "no/cc_nohash_1.wav", "_background_noise_/hum.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file_of(tone()))
    (tmp_path / "testing_list.txt").write_text("no/cc_nohash_1.wav\n")
    (tmp_path / "validation_list.txt").write_text("yes/bb_nohash_0.wav\n")
    rows = {row["id"]: (row["target"], row["split"], row["group"]) for row in rows_of(tmp_path)}
    assert rows == {
        "yes/aa_nohash_0.wav": ("yes", "train", "aa"),
        "yes/bb_nohash_0.wav": ("yes", "validation", "bb"),
        "no/cc_nohash_1.wav": ("no", "test", "cc"),
    }


def test_check_quarantines_what_is_broken_and_finds_one_recording_in_two_codings(cli, tmp_path):
    import json

    from horngate.pipelines.data.samples import spoken_words

    clips = spoken_words.table().slice(0, 12)
    for name, word, data in zip(*(clips[column].to_pylist() for column in ("id", "target", "value")), strict=True):
        (tmp_path / word).mkdir(exist_ok=True)
        (tmp_path / word / name.split("/")[-1]).write_bytes(data)
    sound: Sound = sound_of(clips["value"][0].as_py(), LONGEST)
    (tmp_path / "yes" / "again.flac").write_bytes(file_of(sound.samples, kind="FLAC"))
    for place, data in enumerate(BROKEN.values()):
        (tmp_path / "yes" / f"broken-{place}.wav").write_bytes(data)
    (tmp_path / "yes" / "empty.wav").write_bytes(b"")
    code, out, _ = cli("speech", "keywords", "check", tmp_path, "--json", "--max-quarantine", "0.9")
    seen = json.loads(out)
    assert (code, seen["listed"], seen["usable"], len(seen["quarantined"])) == (0, 20, 13, 7)
    assert {"near_duplicates", "quarantined"} <= {finding["code"] for finding in seen["findings"]}


@pytest.mark.realdata
def test_the_speakers_of_spoken_digits_are_found_in_their_names(realdata, cli, tmp_path):
    import json

    clips = sorted((realdata / "speech" / "fsdd" / "recordings").glob("*_[0-3].wav"))
    rows = [[str(clip), *clip.stem.split("_")[:2]] for clip in clips]
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "speaker"], *rows])
    words = ("speech", "keywords", "check", tmp_path / "clips.csv", "--allow-outside", "--json")
    seen = json.loads(cli(*words)[1])
    (found,) = [finding for finding in seen["findings"] if finding["code"] == "unknown_speakers"]
    assert (seen["listed"], seen["usable"]) == (240, 240)
    assert found["message"].startswith('part 2 of the file names looks like a speaker ("george", ') and (
        "6 in all" in found["message"]
    )
    grouped = json.loads(cli(*words, "--group-column", "speaker")[1])
    assert "unknown_speakers" not in {finding["code"] for finding in grouped["findings"]}
