"""Tagging: spans and BIO, words and tokens, windows, CoNLL columns, entity measures, and a training."""

import json
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from horngate.pipelines import evaluate, export, predict, train, verify
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import examples
from horngate.pipelines.metrics.entities import Entities, entity_f1, entity_precision, entity_recall, per_type
from horngate.pipelines.nlp import Tag
from horngate.pipelines.nlp.tag.alignment import SHAPES, laid_out, shape_of, speaking
from horngate.pipelines.nlp.tag.learner import Lexicon
from horngate.pipelines.nlp.tag.loader import split_of
from horngate.pipelines.nlp.tag.spans import BadSpans, Span, Tags, fitting, of_tags, parsed, words_of, written
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.runs.bundle import Bundle
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import Uncomputable
from horngate.pipelines.system.files import read_table

pytestmark = pytest.mark.usefixtures("undrawn")

TOWNS = ("Bern", "Lyon", "Oslo", "Riga", "Turin")
PEOPLE = ("Anna", "Boris", "Clara", "Dmitri", "Elena")
TEXTS = ["the river near Riga, and the towns of Elena", "Rivers near the towns", "Elena saw the new river"]


def sentences(count: int, seed: int = 0) -> list[dict]:
    """Return rows with towns and people at random places."""
    draw, rows = np.random.default_rng(seed), []
    for _ in range(count):
        text, spans = "", []
        for word in draw.choice(["went to", "met", "saw the river near", "likes", "and then", "town", "person"], 4):
            names, label = ((TOWNS, "town"), (PEOPLE, "person"))[draw.integers(2)]
            name = str(draw.choice(names))
            text += f"{word} "
            if draw.random() < 0.6:
                spans.append({"start": len(text), "end": len(text) + len(name), "label": label})
                text += f"{name}, "
        rows.append({"text": f"{text}today {draw.integers(10**6)}.", "spans": spans})
    return rows


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A tagger of towns and people, learnt from 200 sentences."""
    folder = tmp_path_factory.mktemp("towns")
    knobs = {"epochs": 4, "batch_size": 8, "learning_rate": 0.006, "max_length": 24, "runtime": "tensorflow"}
    return train(Tag(data=str(table(folder, 250)), output=str(folder), **knobs))


def table(folder: Path, rows: int) -> Path:
    """Write a table of sentences."""
    path = folder / "towns.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in sentences(rows)))
    return path


def tokenizer(length: int = 64, overlap: int = 0) -> tokenizers.Tokens:
    return tokenizers.Tokens(tokenizers.learnt(TEXTS * 3), length, overlap)


def aligned(text: str, made: tokenizers.Tokens) -> tuple[tuple[np.ndarray, ...], list[str]]:
    """Return the windows of a text, and the words that tokens speak for, in the order of their places."""
    windows = laid_out(made.windows(text), text, words_of(text), made.vocabulary)
    places = sorted(place for window in windows for place in speaking(window)[1])
    return windows, [text[start:end] for start, end in places]


def test_words_are_runs_of_letters_and_every_other_sign():
    text = "Zoë's U.N. 東京 👍"
    assert [text[start:end] for start, end in words_of(text)] == ["Zoë", "'", "s", "U", ".", "N", ".", "東", "京", "👍"]


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("riga", "lower"),
        ("Riga", "Capital"),
        ("I", "Capital"),
        ("NATO", "CAPITALS"),
        ("iPhone", "miXed"),
        ("1984", "number"),
        ("B2B", "letters and digits"),
        ("東", "no case"),
        ("שלום", "no case"),
        ("👍", "sign"),
        ("straße", "lower"),
    ],
)
def test_every_word_has_a_shape(word, shape):
    assert SHAPES[shape_of(word)] == shape


def word_pieces(length: int = 64) -> tokenizers.Tokens:
    return tokenizer(length, (length - 2) // 2)


def byte_pairs(length: int = 64) -> tokenizers.Tokens:
    """Return a tokenizer as RoBERTa's: pairs of bytes, a blank belonging to the word after it."""
    from types import SimpleNamespace

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special, alphabet = ["<s>", "<pad>", "</s>"], pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    model = json.loads(made.to_str())["model"]
    like_keras_hub = SimpleNamespace(merges=[" ".join(pair) for pair in model["merges"]], vocabulary=model["vocab"])
    return tokenizers.Tokens(tokenizers._byte_pairs(like_keras_hub), length, (length - 2) // 2)


def sentence_pieces(length: int = 64) -> tokenizers.Tokens:
    """Return a tokenizer as DeBERTa's: SentencePiece, whose pieces begin with a mark for the blank before them."""
    from types import SimpleNamespace

    spm, out = pytest.importorskip("sentencepiece"), BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_writer=out,
        vocab_size=60,
        hard_vocab_limit=False,
        user_defined_symbols=["[CLS]", "[SEP]", "[PAD]"],
        minloglevel=2,
    )
    return tokenizers.Tokens(
        tokenizers._sentence_pieces(SimpleNamespace(proto=out.getvalue())), length, (length - 2) // 2
    )


every_family = pytest.mark.parametrize("family", [word_pieces, byte_pairs, sentence_pieces])


@every_family
@pytest.mark.parametrize(
    "text",
    [
        "  the   Rivers, near שלום ouf",
        "Elena's e-mail: elena@riga.lv (new)",
        "Riga\tand\nElena  ",
        "naïve Zoë met Élena in Zürich",
        "👍🏽 Riga 👩‍👩‍👧 towns",
        "ﬁne ½ Ⅳ towns",
        "مرحبا Riga بالعالم",
    ],
)
def test_tokens_speak_for_words_at_their_places_in_the_raw_text(family, text):
    windows, words = aligned(text, family())
    spoken = [place for window in windows for place in speaking(window)[1]]
    assert len(spoken) == len(set(spoken)) and set(spoken) <= set(words_of(text))
    assert [word for word in words if word.isascii()] == [
        text[start:end] for start, end in words_of(text) if text[start:end].isascii()
    ]
    assert all((window[:, 0] >= 0).all() for window in windows)


@every_family
def test_all_tokens_of_a_word_carry_its_shape(family):
    made = family()
    ((window,), _) = aligned("the RIVERS near Rigaville", made)
    shapes = [SHAPES[number // made.vocabulary] for number in window[:, 0]]
    assert (shapes[0], shapes[-1]) == ("none", "none")
    assert set(shapes[1:-1]) - {"none"} == {"lower", "CAPITALS", "Capital"}  # a blank may be a token of its own
    assert shapes.count("Capital") > 1


@every_family
def test_a_long_text_has_every_word_once_in_the_window_with_most_context(family):
    text, made = " ".join(f"riv{number} near" for number in range(60)), family(16)
    windows, words = aligned(text, made)
    assert words == text.split() and len(windows) > 3
    inner = np.concatenate([speaking(window)[0] for window in windows[1:-1]])
    assert inner.min() >= 2 and inner.max() <= 13  # between the marks; the outermost words have a better window
    assert all(len(window) <= 16 for window in windows)


@pytest.mark.parametrize(
    ("tags", "spans", "repaired"),
    [
        (["O", "B-a", "I-a", "O"], [(1, 3, "a")], 0),
        (["I-a", "I-a", "O", "O"], [(0, 2, "a")], 1),
        (["B-a", "I-b", "I-b", "B-b"], [(0, 1, "a"), (1, 3, "b"), (3, 4, "b")], 1),
        (["B-a", "B-a", "O", "I-a"], [(0, 1, "a"), (1, 2, "a"), (3, 4, "a")], 1),
    ],
)
def test_bio_tags_are_spans_and_a_stray_inside_begins_one(tags, spans, repaired):
    found, count = of_tags(tags, [(place, place + 1) for place in range(4)])
    assert ([span.bare for span in found], count) == (spans, repaired)


@pytest.mark.parametrize("tag", ["person", "E-person", "B-", "b-person"])
def test_a_tag_that_is_no_bio_is_refused(tag):
    with pytest.raises(BadSpans, match="no BIO"):
        of_tags([tag], [(0, 1)])


def test_spans_become_labels_of_words_and_scores_become_the_same_spans_again():
    text = "Anna Berg and Boris of New Riga, Riga"
    spans = [Span(0, 9, "person"), Span(14, 19, "person"), Span(23, 31, "town"), Span(33, 37, "town")]
    tags, words = Tags.of(["town", "person"]), words_of(text)
    assert tags.labels == ("O", "B-person", "I-person", "B-town", "I-town")
    encoded = tags.encode(spans, words)
    assert encoded.tolist() == [1, 2, 0, 1, 0, 3, 4, 0, 3]
    decoded = tags.decode(np.eye(5, dtype=np.float32)[encoded], words)
    assert decoded == spans and parsed(written(decoded)) == spans


def test_an_inside_only_follows_its_own_kind():
    tags, words = Tags.of(["a", "b"]), [(0, 1), (2, 3), (4, 5)]  # O B-a I-a B-b I-b
    alone = np.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.2, 0.6, 0.05, 0.05], [0.9, 0.1, 0, 0, 0]])
    assert tags.likeliest(alone) == [0, 1, 0]
    torn = np.array([[0.1, 0.8, 0.1, 0, 0], [0.1, 0.1, 0.2, 0.1, 0.5], [0, 0.1, 0.1, 0.2, 0.6]])
    assert tags.likeliest(torn) == [1, 3, 4]
    assert tags.likeliest(np.zeros((0, 5))) == [] and tags.decode(np.zeros((0, 5)), []) == []
    assert [span.bare for span in tags.decode(torn, words)] == [(0, 1, "a"), (2, 5, "b")]


def test_the_likeliest_labels_are_those_of_all_allowed_sequences_tried():
    from itertools import pairwise, product

    tags, draw = Tags.of(["a", "b"]), np.random.default_rng(0)

    def allowed(path: tuple[int, ...]) -> bool:
        return all(place in (0, 1, 3) or before in (place - 1, place) for before, place in pairwise((0, *path)))

    for _ in range(20):
        scores = draw.dirichlet(np.full(5, 0.5), 5)
        every = [path for path in product(range(5), repeat=5) if allowed(path)]
        best = max(every, key=lambda path: np.log(np.maximum(scores[range(5), path], 1e-7)).sum())
        assert tags.likeliest(scores) == list(best)


def test_two_spans_side_by_side_stay_two():
    tags, words = Tags.of(["a"]), [(0, 1), (2, 3)]
    assert len(tags.decode(np.array([[0, 1, 0], [0, 0.6, 0.4]]), words)) == 2
    assert [span.score for span in tags.decode(np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7]]), words)] == [
        pytest.approx(0.85)
    ]


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ([{"start": 3, "end": 3, "label": "a"}], "empty span"),
        ([{"start": 0, "end": 9, "label": "a"}], "outside the text"),
        ([{"start": -1, "end": 2, "label": "a"}], "outside the text"),
        ([{"start": 0, "end": 3, "label": "a"}, {"start": 2, "end": 4, "label": "b"}], "overlap"),
        ([{"start": 0, "end": 3, "label": " "}], "without a label"),
        ([{"start": 0, "end": 3}], "should be a list"),
        ([{"start": "0", "end": 3, "label": "a"}], "should be a list"),
        (7, "should be a list"),
    ],
)
def test_spans_that_do_not_fit_are_refused_with_the_reason(spans, why):
    with pytest.raises(BadSpans, match=why):
        fitting(parsed(json.dumps(spans)), "a text.")


def test_rows_with_bad_spans_are_quarantined_and_the_others_are_kept(cli, tmp_path):
    rows = sentences(40)
    rows += [{"text": "Riga", "spans": [{"start": 0, "end": 40, "label": "town"}]}, {"text": "Riga"}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = cli("nlp", "tag", "check", path, "--json")
    seen = json.loads(out)
    assert (code, seen["listed"], seen["usable"]) == (0, 42, 40)
    assert [row["reason"] for row in seen["quarantined"]] == [
        "a span outside the text: 0 to 40 of 4 characters",
        "no target",
    ]
    assert set(seen["targets"]) <= {"town", "person", "person, town", "(no entity)"}


def test_conll_columns_are_texts_with_spans(tmp_path):
    path = tmp_path / "some.conll"
    path.write_bytes(
        b"-DOCSTART- -X- O O\n\nAnna NNP B-PER\nBerg NNP I-PER\nsaw V O\nRiga NNP I-LOC\n\n\t\nBern\tB-LOC\n"
        + "ouf\n\nRiga\tE-LOC\n\nZoë\tB-PER\n".encode()
    )
    listing = Listing()
    rows = examples(Tag(data=str(path)), (), listing).to_pylist()
    assert [row["id"] for row in rows] == ["some.conll:3", "some.conll:9", "some.conll:12", "some.conll:14"]
    assert rows[0]["value"].decode() == "Anna Berg saw Riga"
    assert [span.bare for span in parsed(rows[0]["target"])] == [(0, 9, "PER"), (14, 18, "LOC")]
    assert rows[1]["error"] == "a line without a tag: line 10"
    assert rows[2]["error"] == 'a tag that is no BIO: "E-LOC"'
    assert rows[3]["value"].decode() == "Zoë" and rows[3]["error"] is None
    assert listing.converted.total() == 1


def test_files_of_a_folder_say_their_split_by_their_names(tmp_path):
    for name in ("x.train.conll", "x.dev.conll", "17test.bio", "notes.md"):
        (tmp_path / name).write_text("Riga\tB-LOC\n")
    listing = Listing()
    rows = examples(Tag(data=str(tmp_path)), (), listing).to_pylist()
    assert [row["split"] for row in rows] == ["test", "validation", "train"] and listing.skipped == {".md": 1}
    assert [split_of(name) for name in ("emerging.dev.conll", "wnut17train.conll", "a.test.annotated", "b.txt")] == [
        "validation",
        "train",
        "test",
        None,
    ]


def test_an_empty_folder_and_another_encoding_are_one_line(cli, tmp_path):
    code, _, err = cli("nlp", "tag", "check", tmp_path)
    assert code == 1 and "no files of CoNLL columns" in err
    (tmp_path / "a.conll").write_bytes(b"Riga\tB-LOC\nZo\xeb\tB-PER\n")
    code, _, err = cli("nlp", "tag", "check", tmp_path / "a.conll")
    assert code == 1 and "byte 13" in err and "--encoding" in err
    code, out, _ = cli("nlp", "tag", "check", tmp_path / "a.conll", "--encoding", "latin-1", "--json")
    assert json.loads(out)["usable"] == 1


def test_entity_scores_are_those_of_seqeval():
    seqeval = pytest.importorskip("seqeval.metrics")
    draw = np.random.default_rng(0)
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    rows = [
        [[names[place] for place in draw.choice(5, 12, p=[0.4, 0.2, 0.15, 0.15, 0.1])] for _ in "tp"] for _ in range(80)
    ]
    words = [(place, place + 1) for place in range(12)]
    sides = [[[span.bare for span in of_tags(row[side], words)[0]] for row in rows] for side in (1, 0)]
    outcome, ones = Entities.counted(*sides), np.ones(80)
    true, said = [row[0] for row in rows], [row[1] for row in rows]
    assert entity_f1(outcome)(ones) == pytest.approx(seqeval.f1_score(true, said))
    assert entity_precision(outcome)(ones) == pytest.approx(seqeval.precision_score(true, said))
    assert entity_recall(outcome)(ones) == pytest.approx(seqeval.recall_score(true, said))
    weights = draw.integers(0, 3, 80)
    again = np.repeat(np.arange(80), weights)
    assert entity_f1(outcome)(weights.astype(float)) == pytest.approx(
        seqeval.f1_score([true[row] for row in again], [said[row] for row in again])
    )
    macro = seqeval.f1_score(true, said, average="macro")
    assert np.mean([row["f1"] for row in per_type(outcome)]) == pytest.approx(macro)


def test_no_entity_anywhere_is_no_number():
    outcome = Entities.counted([[(0, 1, "a")], []], [[], []])
    with pytest.raises(Uncomputable, match="no entity"):
        entity_f1(outcome)
    assert entity_precision(outcome)(np.ones(2)) == 0.0
    assert entity_precision(outcome.silent())(np.ones(2)) == 0.0


def test_the_lexicon_takes_the_longest_name_and_forgets_common_words():
    texts = ["New York is new", "May went", "in May", "York, May"]
    spans = [[Span(0, 8, "town")], [Span(0, 3, "person")], [], [Span(0, 4, "town")]]
    lexicon = Lexicon(texts, spans)
    assert lexicon.spans("York and New York in May") == [Span(0, 4, "town"), Span(9, 17, "town")]


def test_a_training_finds_names_at_their_places_in_the_raw_text(learnt, tmp_path):
    report = json.loads((learnt / "evaluation/test/report.json").read_text())
    assert report["metrics"]["entity_f1"]["value"] > 0.9
    assert report["metrics"]["entity_f1"]["baseline"] == 0.0
    text = "  saw the river near Riga, and then\tClara, today 7."
    (tmp_path / "one.txt").write_text(text)
    predict(learnt, [tmp_path / "one.txt"], tmp_path / "out.jsonl")
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(text[span["start"] : span["end"]], span["label"]) for span in row["spans"]] == [
        ("Riga", "town"),
        ("Clara", "person"),
    ]


def test_a_long_text_is_answered_as_its_sentences_are(learnt, tmp_path):
    rows = sentences(12, seed=5)
    text, wanted = "", []
    for row in rows:
        wanted += [(span["start"] + len(text), span["end"] + len(text), span["label"]) for span in row["spans"]]
        text += f"{row['text']} "
    (tmp_path / "long.txt").write_text(text)
    (tmp_path / "blank.txt").write_text(" \n ")
    predict(learnt, [tmp_path / "long.txt", tmp_path / "blank.txt"], tmp_path / "out.parquet")
    long, blank = read_table(tmp_path / "out.parquet").to_pylist()
    found = [(span["start"], span["end"], span["label"]) for span in long["spans"]]
    assert len(set(found) & set(wanted)) >= 0.9 * max(len(found), len(wanted))
    assert blank["spans"] is None and blank["error"].startswith("empty")


def test_tokens_that_fill_up_score_nothing_and_change_nothing(learnt):
    from horngate.pipelines.tasks.task import task_of

    task = task_of(learnt.card).opened(learnt)
    collate, forward = task.reader.collate, task.predictor.forward
    texts = (b"met Riga, today 5.", b"likes Riga, and then met Anna, today 77.")
    (short,), (longer,) = (task.reader.read(text) for text in texts)
    alone = forward(collate([short]))[0]
    beside = forward(collate([short, longer]))[0]
    assert np.abs(alone[: len(short)] - beside[: len(short)]).max() < 1e-5
    assert not beside[len(short) :].any()
    assert task.exporter.acted_on(beside[None])[0]["tags"].count("O") == len(short) - 1


def test_signs_of_any_kind_keep_the_places_of_what_is_found(learnt, tmp_path):
    rows = [
        "\ufeffmet Riga, 👩‍👩‍👧 today",
        "שלום met\0Riga, today",
        "\n\n met   Riga, 東京",
        "née\u0301 met Riga, today",
    ]
    for number, text in enumerate(rows):
        (tmp_path / f"{number}.txt").write_text(text, "utf-8", newline="")
    predict(learnt, [tmp_path / f"{number}.txt" for number in range(4)], tmp_path / "out.jsonl")
    for line, text in zip((tmp_path / "out.jsonl").read_text().splitlines(), rows, strict=True):
        found = [text[span["start"] : span["end"]] for span in json.loads(line)["spans"] if span["label"] == "town"]
        assert "Riga" in found


@pytest.fixture
def unmeasured(monkeypatch):
    """Lets trainings end without references, profile and evaluations."""
    for name in ("_baselines", "_evaluate"):
        monkeypatch.setattr(f"horngate.pipelines.verbs.train.{name}", lambda *words: {})
    monkeypatch.setattr("horngate.pipelines.verbs.train.keep_profile", lambda *words: None)


def test_a_cut_training_goes_on_to_the_same_weights(unmeasured, tmp_path, monkeypatch):
    from horngate.models.saving import open_model
    from horngate.models.training import resumable_state

    class Cut(BaseException):
        """Stands for a kill."""

    card = Tag(data=str(table(tmp_path, 60)), epochs=2, batch_size=8, max_length=16, output=str(tmp_path / "runs"))
    whole, steps, on_end = train(card), [], resumable_state.ResumableState.on_train_batch_end

    def cut(self, batch, logs=None):
        on_end(self, batch, logs)
        steps.append(batch)
        if len(steps) == 9:  # in the second epoch
            self.save()
            raise Cut

    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(resumable_state.ResumableState, "on_train_batch_end", cut)
        train(card)
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if not (path / "run.json").exists())
    resumed = train(resume=folder)
    assert (whole / "history.csv").read_text() == (resumed / "history.csv").read_text()
    ours, theirs = (open_model(run / "model.keras").get_weights() for run in (whole, resumed))
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.fixture(scope="module")
def small_bert(tmp_path_factory) -> str:
    """A folder with a very small BERT and its tokenizer, as KerasHub keeps presets; its weights are random."""
    import keras_hub

    folder, places = (
        str(tmp_path_factory.mktemp("bert")),
        tokenizers.learnt([row["text"] for row in sentences(60)]).get_vocab(),
    )
    vocabulary = [*sorted(places, key=places.get), "[MASK]"]
    keras_hub.models.BertTokenizer(vocabulary, lowercase=True).save_to_preset(folder)
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64, "max_sequence_length": 64}
    keras_hub.models.BertBackbone(len(vocabulary), **sizes).save_to_preset(folder)
    return folder


@pytest.mark.parametrize("method", ["lora", "auto"])
def test_pretrained_taggers_climb_from_a_probe_of_words(unmeasured, tmp_path, small_bert, method):
    from horngate.models.saving import open_model

    knobs = {"epochs": 2, "batch_size": 8, "max_length": 16, "class_weights": "balanced", "refit": method == "lora"}
    run = train(Tag(data=str(table(tmp_path, 60)), backbone=small_bert, method=method, output=str(tmp_path), **knobs))
    phases = {line.split(",")[0] for line in (run / "history.csv").read_text().splitlines()[1:]}
    assert phases == ({"probe", "lora", "refit"} if method == "lora" else {"probe", "finetune"})
    protocol = run.summary["protocol"]
    assert protocol["chosen_because"].startswith("asked for" if method == "lora" else "entity_f1 on validation")
    assert not any("lora" in variable.path for variable in open_model(run / "model.keras").weights)


def test_what_starts_anew_in_a_pretrained_encoder_learns_at_the_full_rate(small_bert):
    from horngate.models.network import depths, fresh_layers
    from horngate.models.text.encoders import Marks, text_backbone, token_encoder
    from horngate.models.text.tagging import shaped
    from horngate.models.training.lora import adapt

    backbone = text_backbone(small_bert, "imagenet")
    numbers = np.array([[2, 9, 8, 3, 0]], np.int32)
    with_shapes = numbers + np.array([[0, 2000, 1000, 0, 0]], np.int32)
    before = token_encoder(backbone, Marks(0, 3)).predict_on_batch(numbers)
    encoder = token_encoder(shaped(backbone, 1000, len(SHAPES)), Marks(0, 3))
    assert np.abs(encoder.predict_on_batch(with_shapes) - before).max() == 0.0
    ((variable,),) = (layer.variables for layer in fresh_layers(encoder))
    assert variable.path not in depths(encoder) and variable.shape == (len(SHAPES), 32)
    adapt(encoder)
    assert variable.path in {one.path for one in encoder.trainable_variables}
    variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    assert np.abs(encoder.predict_on_batch(with_shapes) - before).max() > 0.01


@pytest.fixture(scope="module")
def bundle(learnt, tmp_path_factory):
    """The tagger for LiteRT."""
    return export(learnt, "litert", tmp_path_factory.mktemp("bundles") / "litert")


def test_a_bundle_answers_as_its_run_without_tensorflow(bundle, learnt, tmp_path):
    text = " ".join(row["text"] for row in sentences(9, seed=3))
    for name, words in (("long", text), ("short", "met Riga")):
        (tmp_path / f"{name}.txt").write_text(words)
    code = (
        "import sys\nsys.modules['tensorflow'] = sys.modules['keras'] = sys.modules['keras_hub'] = None\n"
        f"sys.argv = ['horngate', 'predict', {str(bundle.folder)!r}, {str(tmp_path)!r}, '-o', '-']\n"
        "from horngate.cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line)["spans"] for line in done.stdout.splitlines()]
    predict(learnt, [tmp_path / "long.txt", tmp_path / "short.txt"], tmp_path / "out.jsonl")
    ours = [json.loads(line)["spans"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    bare = [[[(span["start"], span["end"], span["label"]) for span in row] for row in side] for side in (ours, theirs)]
    assert bare[0] == bare[1] and len(ours[0]) > 5


def test_the_example_of_a_bundle_labels_pieces_without_horngate(bundle, tmp_path):
    (tmp_path / "a.txt").write_text("saw the river near Riga, and then Clara")
    code = f"import sys, runpy\nsys.modules['horngate'] = None\nsys.argv = ['x', {str(tmp_path / 'a.txt')!r}]\n"
    code += f"runpy.run_path({str(bundle / 'example.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Riga/B-town" in done.stdout and "Clara/B-person" in done.stdout


def test_swapped_labels_in_a_bundle_are_found(bundle, tmp_path):
    swapped = Path(shutil.copytree(bundle.folder, tmp_path / "swapped"))
    Tags.of(["person", "village"]).write(swapped / "labels.json")
    Bundle(swapped).seal()
    with pytest.raises(UserError, match="get another tags, such as"):
        verify(swapped)


def test_an_evaluation_of_columns_takes_the_same_run(learnt, tmp_path):
    path = tmp_path / "towns.conll"
    path.write_text("Anna B-person\nmet O\nBoris I-person\n\nsaw O\nRiga B-town\n, O\ntoday O\n\nthe O\nriver O\n")
    report = evaluate(learnt, data=str(path), name="columns")
    assert report.rows == 3 and set(report.metrics) == {"entity_f1", "entity_precision", "entity_recall"}
    answers = read_table(learnt / "evaluation/columns/answers.parquet")
    assert pa.types.is_list(answers.schema.field("spans").type)
    assert {"per_class", "macro_f1", "mistakes", "tokens"} <= report.details.keys()


def test_data_without_any_span_and_methods_without_weights_are_one_line(cli, tmp_path):
    path = tmp_path / "none.jsonl"
    path.write_text("".join(json.dumps({"text": f"a text {number}", "spans": []}) + "\n" for number in range(30)))
    code, _, err = cli("nlp", "tag", "train", "--data", path, "-o", tmp_path)
    assert code == 1 and "no row has a span" in err
    path.write_text("".join(json.dumps(row) + "\n" for row in sentences(30)))
    code, _, err = cli("nlp", "tag", "train", "--data", path, "-o", tmp_path, "--method", "lora")
    assert code == 1 and "--method lora needs pretrained weights" in err
