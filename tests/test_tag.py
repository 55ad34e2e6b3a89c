"""Tagging: spans and BIO, words and tokens, windows, CoNLL columns, entity measures, and a training."""

import json

import numpy as np
import pyarrow as pa
import pytest

from horngate.pipelines import evaluate, predict, train
from horngate.pipelines.data.sources import Listing, examples
from horngate.pipelines.files import read_table
from horngate.pipelines.measure.entities import Entities, entity_f1, entity_precision, entity_recall, per_type
from horngate.pipelines.measure.intervals import Uncomputable
from horngate.pipelines.nlp import Tag, tokens
from horngate.pipelines.nlp.alignment import laid_out, speaking
from horngate.pipelines.nlp.columns import split_of
from horngate.pipelines.nlp.lexicon import Lexicon
from horngate.pipelines.nlp.spans import BadSpans, Span, Tags, fitting, of_tags, parsed, words_of, written

TOWNS = ("Bern", "Lyon", "Oslo", "Riga", "Turin")
PEOPLE = ("Anna", "Boris", "Clara", "Dmitri", "Elena")


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
    """A tagger of towns and people, learnt from 400 sentences."""
    folder = tmp_path_factory.mktemp("towns")
    path = folder / "towns.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in sentences(400)))
    return train(
        Tag(data=str(path), epochs=4, max_length=32, learning_rate=0.003, output=str(folder), runtime="tensorflow")
    )


def tokenizer(length: int = 64, overlap: int = 0) -> tokens.Tokens:
    return tokens.Tokens(tokens.learnt(["the river near Riga, and the towns of Elena"] * 3), length, overlap)


def aligned(text: str, length: int = 64) -> tuple[np.ndarray, list[str]]:
    words = words_of(text)
    tensor = laid_out(tokenizer(length, (length - 2) // 2).windows(text), words, length, 0)
    return tensor, [text[start:end] for start, end in speaking(tensor)[1]]


def test_words_are_runs_of_letters_and_every_other_sign():
    text = "Zoë's U.N. 東京 👍"
    assert [text[start:end] for start, end in words_of(text)] == ["Zoë", "'", "s", "U", ".", "N", ".", "東", "京", "👍"]


def test_each_word_has_one_token_that_speaks_for_it_with_its_place_in_the_raw_text():
    text = "  the   Rivers, near שלום ouf"
    tensor, words = aligned(text)
    assert words == ["the", "Rivers", ",", "near", "שלום", "ouf"]
    assert tensor[0].tolist()[1:] == [-1, -1] and len(tensor) > len(words) + 2  # marks, and words of several tokens


def test_a_long_text_has_every_word_once_in_the_window_with_most_context():
    text = " ".join(f"riv{number} near" for number in range(60))
    tensor, words = aligned(text, 16)
    assert words == text.split()
    assert len(tensor) % 16 == 0 and len(tensor) > 32
    places = speaking(tensor)[0] % 16
    inner = places[(speaking(tensor)[0] >= 16) & (speaking(tensor)[0] < len(tensor) - 16)]
    assert inner.min() >= 3 and inner.max() <= 12  # of 14 tokens between the marks; the outer ones have a better window


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


def test_windows_in_one_row_are_answered_as_if_each_stood_alone(learnt):
    from horngate.pipelines.tasks import pipeline_of

    pipeline = pipeline_of(learnt.card)
    pipeline.open(learnt)
    length = pipeline.schema["length"]
    tensor = pipeline.read(" ".join(row["text"] for row in sentences(9, seed=3)).encode())
    assert len(tensor) % length == 0 and len(tensor) > length
    whole = pipeline.forward(pipeline.stacked([tensor]))[0]
    apart = np.concatenate([pipeline.forward(part[None, :, 0])[0] for part in np.split(tensor, len(tensor) // length)])
    assert np.abs(whole - apart).max() < 1e-5
    assert not whole[tensor[:, 0] == pipeline.schema["pad"]].any()


def test_an_evaluation_of_columns_takes_the_same_run(learnt, tmp_path):
    path = tmp_path / "towns.conll"
    path.write_text("Anna B-person\nmet O\nBoris I-person\n\nsaw O\nRiga B-town\n, O\ntoday O\n\nthe O\nriver O\n")
    report = evaluate(learnt, data=str(path), name="columns")
    assert report.rows == 3 and set(report.metrics) == {"entity_f1", "entity_precision", "entity_recall"}
    answers = read_table(learnt / "evaluation/columns/answers.parquet")
    assert pa.types.is_list(answers.schema.field("spans").type)
    assert {"per_class", "macro_f1", "mistakes", "tokens"} <= report.details.keys()


def test_data_without_any_span_and_a_refit_are_one_line(cli, tmp_path):
    path = tmp_path / "none.jsonl"
    path.write_text("".join(json.dumps({"text": f"a text {number}", "spans": []}) + "\n" for number in range(30)))
    code, _, err = cli("nlp", "tag", "train", "--data", path, "-o", tmp_path)
    assert code == 1 and "no row has a span" in err
    path.write_text("".join(json.dumps(row) + "\n" for row in sentences(30)))
    code, _, err = cli("nlp", "tag", "train", "--data", path, "-o", tmp_path, "--refit")
    assert code == 1 and "--refit" in err
