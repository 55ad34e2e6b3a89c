"""What turns sounds into texts without a network: spelling, decoding, word lists, windows, subtitles, measures."""

from itertools import pairwise

import numpy as np
import pytest

from horngate.pipelines.metrics import transcripts
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.ctc.beam_search import Language, Search
from horngate.pipelines.speech.ctc.decoder import CtcDecoder
from horngate.pipelines.speech.ctc.decoding import greedy, heard, needed
from horngate.pipelines.speech.ctc.language import UnitDecoder
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary, normalised
from horngate.pipelines.speech.ctc.word_models import Lexicon, Ngrams, lines_of
from horngate.pipelines.speech.transcribe.subtitles import phrases, srt, vtt, write
from horngate.pipelines.speech.transcribe.windows import Window, overlap, windows

LETTERS = CtcVocabulary("characters", (" ", "a", "b", "c"))


def scores_of(path: list[int], units: int, sure: float = 0.9) -> np.ndarray:
    """Return log-probabilities whose likeliest unit of each frame is the path's."""
    scores = np.full((len(path), units + 1), (1 - sure) / units)
    scores[np.arange(len(path)), path] = sure
    return np.log(scores).astype(np.float32)


# Spelling.


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  Don't STOP — now!  ", "don't stop now"),
        ("‘Rock ’n’ roll’ isn’t over", "rock n roll isn't over"),
        ("ＡＢＣ １２", "abc 12"),
        ("naïve Straße", "naïve straße"),
        ("twenty-one, well…", "twenty one well"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),
        ("?!", ""),
    ],
)
def test_plain_texts_are_alike_without_case_and_punctuation(text, wanted):
    assert normalised(text, "plain") == wanted
    assert normalised(wanted, "plain") == wanted


def test_without_a_normaliser_only_spaces_change():
    assert normalised(" A\t b!\n", "none") == "A b!"


def test_few_frequent_words_are_learnt_word_by_word_and_others_sign_by_sign():
    words = CtcVocabulary.of(["yes no yes", "no no", "yes yes no no yes"])
    letters = CtcVocabulary.of(["the cat sat", "a dog ran"])
    assert (words.kind, words.names) == ("words", ("no", "yes"))
    assert (letters.kind, letters.names[0]) == ("characters", " ")
    assert words.text(words.encoded("yes no maybe no")) == "yes no no" and words.unknown("maybe no") == ["maybe"]
    assert letters.text(letters.encoded("a cat")) == "a cat"


def test_units_come_back_from_their_file_and_damage_is_named(tmp_path):
    units = CtcVocabulary.of(["ab ba"], "characters")
    units.write(tmp_path / "labels.json")
    assert CtcVocabulary.read(tmp_path / "labels.json") == units
    (tmp_path / "labels.json").write_text('{"labels": 3}')
    with pytest.raises(UserError, match="damaged"):
        CtcVocabulary.read(tmp_path / "labels.json")


def test_transcripts_without_a_word_leave_nothing_to_learn():
    with pytest.raises(UserError, match="nothing to learn"):
        CtcVocabulary.of(["", " "])


# Decoding.


def test_the_best_path_merges_repeats_and_drops_blanks():
    path = [0, 1, 1, 0, 1, 2, 2, 0, 0, 3]
    assert greedy(scores_of(path, 3)) == (1, 1, 2, 3)
    assert greedy(np.zeros((0, 4), np.float32)) == ()
    assert needed((1, 1, 2)) == 4


def test_units_get_the_frames_in_which_they_were_heard():
    found = heard(scores_of([0, 1, 1, 0, 2, 0, 2, 2], 3), (1, 2, 2))
    assert found.frames.tolist() == [[1, 3], [4, 5], [6, 8]]
    assert found.confidence == pytest.approx(0.9, abs=1e-6)
    assert heard(scores_of([0, 0], 3), ()).confidence == pytest.approx(0.9, abs=1e-6)


def test_the_likeliest_path_is_that_of_all_paths():
    from itertools import product

    draw = np.random.default_rng(3)
    scores = np.log(draw.dirichlet(np.ones(3), 6)).astype(np.float32)

    def collapsed(path):
        kept = [unit for place, unit in enumerate(path) if place == 0 or unit != path[place - 1]]
        return tuple(unit for unit in kept if unit)

    paths = [path for path in product(range(3), repeat=6) if collapsed(path) == (1, 2, 1)]
    best = max(paths, key=lambda path: scores[np.arange(6), list(path)].sum())
    frames = heard(scores, (1, 2, 1)).frames
    assert [best[start] for start, _ in frames] == [1, 2, 1]
    assert [frame for frame, unit in enumerate(best) if unit] == [
        frame for start, end in frames for frame in range(start, end)
    ]


def test_a_wide_beam_finds_the_likeliest_text_of_all():
    from itertools import product

    draw = np.random.default_rng(0)
    units = CtcVocabulary("words", ("x", "y"))
    for _ in range(5):
        probabilities = draw.dirichlet(np.ones(3), 5)
        totals: dict[tuple, float] = {}
        for path in product(range(3), repeat=5):
            text = tuple(unit for place, unit in enumerate(path) if unit and (place == 0 or unit != path[place - 1]))
            totals[text] = totals.get(text, 0.0) + float(np.prod(probabilities[np.arange(5), list(path)]))
        found = Search(Language(units), 1000).best(np.log(probabilities).astype(np.float32))
        assert found == max(totals, key=totals.get)


def test_a_beam_of_one_text_agrees_with_the_best_path_where_all_is_sure():
    path = [0, 2, 2, 0, 3, 1, 4, 0]
    assert Search(Language(LETTERS), 8).best(scores_of(path, 4, 0.99)) == greedy(scores_of(path, 4, 0.99))


def test_a_word_list_allows_its_words_alone():
    scores = scores_of([2, 3, 4], 4, 0.6)  # "abc"
    language = Language(LETTERS, Lexicon(["ab", "ba c"]))
    assert LETTERS.text(Search(language, 50).best(scores)) == "ab"
    nothing = Language(LETTERS, Lexicon(["cab"]))
    assert LETTERS.text(Search(nothing, 50).best(scores_of([2, 3], 4, 0.999))) in ("", "cab")


def test_ngrams_decide_between_what_sounds_alike():
    units = CtcVocabulary("words", ("sea", "see", "the", "you"))
    ngrams = Ngrams.counted(["the sea", "you see", "the sea"], 2)
    scores = np.log(np.full((3, 5), 0.02))
    scores[0, 3], scores[1, 0], scores[2, 1], scores[2, 2] = np.log([0.9, 0.9, 0.45, 0.47])
    plain, told = Language(units), Language(units, None, ngrams, 1.0)
    assert units.text(Search(plain, 20).best(scores)) == "the see"
    assert units.text(Search(told, 20).best(scores)) == "the sea"


def test_ngrams_are_probabilities_and_come_back_from_plain_values():
    ngrams = Ngrams.counted(["a b a", "a c"], 3)
    words = ["a", "b", "c", None]
    for history in ((), ("a",), ("b", "a"), ("never", "seen")):
        total = sum(np.exp(ngrams.log(history, word)) for word in words)
        assert total < 1 < total + 0.3  # the rest is for words that were never counted
        assert np.exp(ngrams.log(history, "unheard")) > 0
    again = Ngrams.of(ngrams.plain())
    assert again.log(("a",), "b") == ngrams.log(("a",), "b")


def test_a_file_of_words_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--words .*can't be read"):
        lines_of(str(tmp_path / "none.txt"), "utf-8", "--words")
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(UserError, match="holds no line"):
        lines_of(str(tmp_path / "empty.txt"), "utf-8", "--words")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match="--encoding"):
        lines_of(str(tmp_path / "latin.txt"), "utf-8", "--words")


# Long recordings.


def speech(seconds: float, pauses: list[tuple[float, float]], rate: int = 1000) -> np.ndarray:
    """Return noise with pauses (from, to, in seconds)."""
    samples = np.random.default_rng(0).normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    for start, end in pauses:
        samples[int(start * rate) : int(end * rate)] *= 1e-4
    return samples


def test_a_short_recording_is_one_window():
    assert windows(speech(3, []), 1000, 5.0) == [Window(0, 3000, 0, 3000, True)]


def test_long_recordings_are_cut_in_their_silences():
    found = windows(speech(25, [(5.0, 5.5), (8.0, 8.1), (12.0, 12.6), (18.4, 19.0)]), 1000, 10.0)
    assert all(window.silent for window in found)
    for window in found[1:]:
        assert any(start < window.start / 1000 < end for start, end in [(5.0, 5.5), (12.0, 12.6), (18.4, 19.0)])


@pytest.mark.parametrize("pauses", [[], [(2.0, 2.4)], [(4.9, 5.3), (9.0, 9.5)]])
def test_windows_cover_a_recording_without_gaps_and_none_is_too_long(pauses):
    samples = speech(37.3, pauses)
    found = windows(samples, 1000, 6.0)
    assert (found[0].start, found[-1].end) == (0, len(samples))
    assert all(left.end == right.start for left, right in pairwise(found))
    for window in found:
        assert 0 <= window.first <= window.start < window.end <= window.last <= len(samples)
        assert window.last - window.first <= 6000


def test_without_a_silence_both_sides_are_heard_beyond_the_cut():
    first, second, *_ = windows(speech(20, []), 1000, 8.0)
    assert not second.silent and first.last > first.end and second.first < second.start


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("we went to the old", "the old mill today", "we went to the old mill today"),
        ("we went to the ol", "to the old mill", "we went to the old mill"),
        ("Hello there.", "there, my friend", "Hello there. my friend"),
        ("one two", "three four", "one two three four"),
        ("", "three", "three"),
        ("one", "", "one"),
        ("- -", "- x", "- - - x"),
    ],
)
def test_what_two_windows_heard_stands_there_once(left, right, joined):
    left, right = left.split(), right.split()
    behind, before = overlap(left, right)
    assert " ".join([*left[: len(left) - behind], *right[before:]]) == joined


def test_a_word_across_a_cut_without_silence_is_written_once():
    whole = scores_of([0, 2, 2, 3, 0, 1, 4, 4, 0, 0, 2, 0], 4, 0.99)
    cut = [Window(0, 70, 0, 100, True), Window(70, 120, 40, 120, False)]
    decoder = CtcDecoder(LETTERS, UnitDecoder(Language(LETTERS)), stride=10, rate=100)
    told = decoder.transcript(cut, [whole[:10], whole[4:]])
    alone = decoder.transcript([Window(0, 120, 0, 120, True)], [whole])
    assert told.text == alone.text == "ab ca"
    assert told.segments == alone.segments == [(0.1, 0.4, "ab"), (0.6, 1.1, "ca")]


# Subtitles.


def test_phrases_end_at_pauses_and_before_they_get_too_long():
    words = [(0.0, 0.4, "one"), (0.5, 0.9, "two"), (2.0, 2.5, "three")]
    assert phrases(words) == [(0.0, 0.9, "one two"), (2.0, 2.5, "three")]
    long = phrases([(number * 0.3, number * 0.3 + 0.25, "word") for number in range(60)])
    assert all(end - start <= 7.0 and len(text) <= 84 for start, end, text in long)


def test_subtitles_are_srt_and_vtt():
    segments = [(0.0, 1.5, "a <b> & c"), (3661.0, 3661.0, "x --> y")]
    assert srt(segments) == ("1\n00:00:00,000 --> 00:00:01,500\na <b> & c\n\n2\n01:01:01,000 --> 01:01:01,001\nx → y\n")
    assert vtt(segments).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na &lt;b&gt; &amp; c\n")
    assert "x --&gt; y" in vtt(segments)
    lines = srt([(0, 5, "word " * 16)]).splitlines()[2:]
    assert len(lines) == 2 and max(map(len, lines)) <= 45


def test_every_recording_has_subtitles_of_its_own(tmp_path):
    paths = [write(str(tmp_path / "s"), "srt", name, [(0, 1, name)]) for name in ("a/talk.wav", "b/talk.wav", "../x")]
    assert len(set(paths)) == 3 and {path.parent for path in paths} == {tmp_path / "s"}
    assert paths[0].name.startswith("talk-") and paths[0].read_text().endswith("a/talk.wav\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't write"):
        write(str(tmp_path / "file"), "srt", "x", [])


# Measures.


def test_word_errors_are_all_errors_over_all_words():
    said = ["the cat sat", "", "made up", "b"]
    found = transcripts.compared(
        ["the cat sat", "one two three four", "", "a"], said, [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4]
    )
    values = {name: measure(np.ones(4)) for name, (_, measure) in transcripts.measures(found).items()}
    assert found.words.tolist() == [[3, 0, 0, 0], [0, 0, 4, 0], [0, 0, 0, 2], [0, 1, 0, 0]]
    assert values["wer"] == (4 + 2 + 1) / 8
    assert values["sentence_error_rate"] == 3 / 4
    assert values["real_time_factor"] == pytest.approx(0.1)
    assert values["cer"] == pytest.approx((18 + 7 + 1) / (11 + 18 + 1))


def test_measures_agree_with_jiwer_and_weights_stand_for_repeated_rows():
    import jiwer

    draw = np.random.default_rng(1)
    texts = [[" ".join(draw.choice(list("abc"), draw.integers(1, 6))) for _ in range(12)] for _ in range(2)]
    found = transcripts.compared(*texts, [1.0] * 12)
    measures = transcripts.measures(found)
    assert measures["wer"][1](np.ones(12)) == pytest.approx(jiwer.wer(*texts))
    assert measures["cer"][1](np.ones(12)) == pytest.approx(jiwer.cer(*texts))
    weights = draw.integers(0, 3, 12)
    rows = np.repeat(np.arange(12), weights)
    assert measures["wer"][1](weights.astype(float)) == pytest.approx(
        transcripts.measures(found.at(rows))["wer"][1](np.ones(len(rows)))
    )


def test_what_cannot_be_measured_says_why():
    found = transcripts.measures(transcripts.compared(["", ""], ["a", ""], [1.0, 1.0]))
    assert found["wer"][1] == "no true transcript holds a word"
    assert found["real_time_factor"][1] == "the time of computing is not known"


def test_silence_deletes_every_word():
    found = transcripts.compared(["a b", "c"], ["a x", "c"], [1.0, 1.0], [0.1, 0.1]).silent()
    measures = transcripts.measures(found)
    assert measures["wer"][1](np.ones(2)) == 1.0 and measures["real_time_factor"][1](np.ones(2)) == 0.0
