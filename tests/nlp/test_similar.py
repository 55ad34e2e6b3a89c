"""`nlp similar` beyond what all tasks promise: pairs with and without scores, measures of pairs, and searching an index."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines import evaluate, predict, train
from horngate.pipelines.metrics import similarity
from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.nlp import Similar
from horngate.pipelines.nlp.similar import vectors
from horngate.pipelines.nlp.similar.pairs import one_or_two
from horngate.pipelines.nlp.similar.search import index, search
from horngate.pipelines.nlp.similar.vectors import Index
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system.files import read_json, read_table

pytestmark = pytest.mark.usefixtures("undrawn")

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "house", "river", "stone", "cloud", "bread", "music"]


def sentences(count: int, seed: int = 0) -> list[str]:
    """Return different sentences of four words and a number."""
    draw = np.random.default_rng(seed)
    return [f"the {' '.join(draw.choice(WORDS, 3))} number {place}" for place in range(count)]


def scored_table(path: Path, rows: int = 60) -> Path:
    """Write pairs whose score is the share of words that both hold."""
    firsts, seconds = sentences(rows, 1), sentences(rows, 2)
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["sentence1", "sentence2", "score", "source"])
        for place, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            second = first.replace("number", "count") if place % 3 == 0 else second
            shared = len(set(first.split()) & set(second.split())) / 6
            writer.writerow([first, second, f"{5 * shared:.2f}", "news" if place % 2 else "web"])
    return path


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run from a random start on pairs with scores."""
    folder = tmp_path_factory.mktemp("scored")
    table = scored_table(folder / "pairs.csv")
    return train(Similar(data=str(table), epochs=2, validation=0.2, test=0.3, output=str(folder / "runs")))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weighted_correlations_are_those_of_repeated_rows(seed):
    from scipy import stats

    draw = np.random.default_rng(seed)
    said, given = draw.normal(size=50).round(1), draw.integers(0, 6, 50).astype(float)  # both with ties
    counts = np.bincount(draw.integers(0, 50, 50), minlength=50)
    found = similarity.measures(Outcome(said, given))
    left, right = np.repeat(said, counts), np.repeat(given, counts)
    weights = counts.astype(np.float64)
    assert found["spearman"][1](weights) == pytest.approx(stats.spearmanr(left, right).statistic, abs=1e-12)
    assert found["pearson"][1](weights) == pytest.approx(stats.pearsonr(left, right).statistic, abs=1e-12)


def test_one_similarity_for_all_scores_nothing_and_one_score_for_all_is_refused():
    weights, given = np.ones(5), np.arange(5.0)
    assert similarity.measures(Outcome(np.full(5, 0.3), given))["spearman"][1](weights) == 0.0
    assert similarity.measures(Outcome(given, np.full(5, 2.0)))["pearson"][1] == "all pairs have the same score"


def test_places_are_those_of_a_sorted_list_across_blocks(monkeypatch):
    monkeypatch.setattr(similarity, "ROWS", 7)
    draw = np.random.default_rng(0)
    firsts, seconds = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in draw.normal(size=(2, 30, 4)))
    reciprocal, first = similarity.found(firsts, seconds)
    cosines = firsts @ seconds.T
    places = [1 + int(np.sum(cosines[row] > cosines[row, row])) for row in range(30)]
    assert reciprocal == pytest.approx(1 / np.array(places))
    assert first.tolist() == [float(place == 1) for place in places]


def test_an_encoder_that_gives_all_texts_one_vector_scores_by_chance():
    same = np.tile(np.eye(3)[:1], (8, 1))
    reciprocal, first = similarity.found(same, same)
    guess = similarity.by_chance(Outcome(np.ones(8), None, reciprocal, first, 8))
    assert reciprocal == pytest.approx(guess.reciprocal) and first == pytest.approx(np.full(8, 1 / 8))


def test_cosent_counts_only_pairs_in_the_wrong_order():
    from horngate.models.text.embedding import cosent

    angles = np.array([0.0, 0.5, 1.0])
    vectors = np.stack([np.tile([1.0, 0.0], (3, 1)), np.stack([np.cos(angles), np.sin(angles)], 1)], 1)
    right = float(cosent(np.array([[3.0], [2.0], [1.0]], np.float32), vectors.astype(np.float32)))
    wrong = float(cosent(np.array([[1.0], [2.0], [3.0]], np.float32), vectors.astype(np.float32)))
    cosines = 20 * np.cos(angles)
    gaps = [cosines[i] - cosines[j] for i in range(3) for j in range(3) if i < j]
    assert wrong == pytest.approx(np.log(1 + np.exp(gaps).sum()), rel=1e-4) and right < 0.2


def test_equal_texts_are_no_negatives_of_each_other():
    from horngate.models.text.embedding import ranking

    vectors = np.tile(np.eye(2, dtype=np.float32)[:, None], (1, 2, 1))[[0, 0, 1]]
    alike = ranking(np.array([[0, 0], [1, 0], [2, 1]], np.float32), vectors)
    apart = ranking(np.array([[0, 0], [1, 1], [2, 2]], np.float32), vectors)
    assert np.asarray(alike)[0] == pytest.approx(np.log(1 + np.exp(-20)), abs=1e-6)
    assert np.asarray(apart)[0] == pytest.approx(np.log(2), abs=1e-6)


def test_scored_pairs_are_measured_by_correlation_beside_the_untrained_encoder(scored):
    report = read_json(scored / "evaluation/test/report.json")
    assert list(report["metrics"]) == ["spearman", "pearson"]
    assert set(report["references"]) == {"untrained_encoder", "tfidf_cosine"}
    assert report["metrics"]["spearman"]["baseline"] == 0.0
    assert {part["value"] for part in report["slices"]} == {"news", "web"}
    assert report["protocol"]["learnt_from"].startswith("scores")
    rows, told = report["rows"], report["details"]["tokens"]
    assert sum(told["counts"].values()) == 2 * rows and told["cut_rows"] == 0.0


def test_the_stored_answers_hold_all_that_is_measured(scored):
    from scipy import stats

    answers = read_table(scored / "evaluation/test/answers.parquet")
    report = read_json(scored / "evaluation/test/report.json")
    first, second = (np.array(answers[name].to_pylist()) for name in ("embedding", "pair_embedding"))
    said = answers["similarity"].to_numpy()
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (first * second).sum(1) == pytest.approx(said, abs=1e-5)
    given = [float(target) for target in answers["target"].to_pylist()]
    assert report["metrics"]["spearman"]["value"] == pytest.approx(stats.spearmanr(said, given).statistic)


def test_prediction_embeds_single_texts_and_the_first_of_pairs(scored, tmp_path):
    (tmp_path / "one.jsonl").write_text('{"text": "the red cat number 1"}\n{"text": "[only, brackets]"}\n')
    (tmp_path / "two.csv").write_text("sentence1,sentence2\nthe red cat number 1,\n")
    (tmp_path / "three.txt").write_text("the red cat number 1\n")
    predict(scored, [tmp_path / name for name in ("one.jsonl", "two.csv", "three.txt")], tmp_path / "out.parquet")
    rows = read_table(tmp_path / "out.parquet").to_pylist()
    assert list(rows[0])[:3] == ["id", "embedding", "error"] and "pair_embedding" not in rows[0]
    assert [row["error"] for row in rows] == [None] * 4
    assert rows[0]["embedding"] == rows[2]["embedding"] == rows[3]["embedding"] != rows[1]["embedding"]


def test_a_row_without_a_second_text_is_an_error_where_it_is_measured(scored, tmp_path):
    (tmp_path / "new.csv").write_text("sentence1,sentence2,score\na cat,a dog,1\na cat,,2\nbread,music,3\nred,blue,4\n")
    report = evaluate(scored, data=str(tmp_path / "new.csv"), output=tmp_path / "out")
    assert (report.rows, report.quarantined) == (3, 1)
    (tmp_path / "bad.csv").write_text("sentence1,sentence2,score\na cat,a dog,high\na cat,b,2\n")
    with pytest.raises(UserError, match="should be a number. Received: high"):
        evaluate(scored, data=str(tmp_path / "bad.csv"), output=tmp_path / "out2")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", ("plain", None)),
        ('["a", "b"]', ("a", "b")),
        ('["a", 2]', ('["a", 2]', None)),
        ("[a, b]", ("[a, b]", None)),
        ('["a"]', ('["a"]', None)),
    ],
)
def test_only_a_list_of_two_texts_is_a_pair(text, parts):
    assert one_or_two(text.encode(), "utf-8") == parts


def test_a_pair_with_an_empty_side_is_refused():
    with pytest.raises(Unreadable, match="empty"):
        one_or_two(b'["a", " "]', "utf-8")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("text\none\ntwo\n", "no second text"),
        ("text,pair,score\na,b,high\nc,d,2\n", "no numbers"),
        ("text,pair,score\na,b,2\nc,d,2\n", "all pairs have the score 2"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(lines, said, tmp_path):
    (tmp_path / "t.csv").write_text(lines)
    with pytest.raises(UserError, match=said):
        train(Similar(data=str(tmp_path / "t.csv"), output=str(tmp_path / "runs")))


def test_methods_that_need_pretrained_weights_say_so(tmp_path):
    table = scored_table(tmp_path / "pairs.csv")
    for method in ("probe", "lora", "finetune"):
        with pytest.raises(UserError, match="pretrained weights"):
            train(Similar(data=str(table), output=str(tmp_path / "runs"), method=method))


def test_pairs_of_other_lengths_than_the_first_are_learnt_from():
    import keras

    from horngate.models.text.embedding import PairConfig, embedder, learn_pairs
    from horngate.models.training.learning import CheckpointPolicy

    class Uneven:
        count, lengths = 8, np.array([4, 4, 4, 4, 4, 4, 12, 20])

        def batch(self, rows, epoch):
            ids = np.random.default_rng(rows).integers(2, 30, (len(rows), self.lengths[rows].max(), 2), np.int32)
            return ids, rows[:, None].astype(np.float32), None

    ids = keras.Input((None,), dtype="int32")
    features = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(30, 8)(ids))
    answers = embedder(keras.Model(ids, features, name="encoder"))
    before = answers.get_weights()
    history = learn_pairs(answers, Uneven(), Uneven(), PairConfig("scratch", True, 0, 3, 2), CheckpointPolicy())
    assert len(history) == 3 and np.isfinite([row["val_loss"] for row in history]).all()
    assert any(np.abs(new - old).max() > 1e-4 for new, old in zip(answers.get_weights(), before, strict=True))


@pytest.fixture
def indexed(scored, tmp_path):
    """An index of forty sentences, in blocks of sixteen."""
    (tmp_path / "texts.csv").write_text(
        "\n".join(["name,text", *(f"s{n},{text}" for n, text in enumerate(sentences(40)))])
    )
    return index(scored, [str(tmp_path / "texts.csv")], tmp_path / "index", id_column="name")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("horngate.pipelines.nlp.similar.vectors.ROWS", 16)
    monkeypatch.setattr("horngate.pipelines.nlp.similar.vectors.SCANNED", 5)


def vectors_of(made: Index) -> np.ndarray:
    return np.concatenate([made._vectors(block) for block in range(len(made.blocks))])


def test_a_search_finds_exactly_the_nearest(indexed):
    assert indexed.blocks == (16, 16, 8)
    vectors = vectors_of(indexed)
    draw = np.random.default_rng(0)
    for count in (1, 7, 40, 99):
        query = draw.normal(size=vectors.shape[1]).astype(np.float32)
        rows, scores = indexed.nearest(query, count)
        wanted = np.argsort(-(vectors @ query), kind="stable")[:count]
        assert rows.tolist() == wanted.tolist()
        assert scores == pytest.approx((vectors @ query)[wanted], abs=1e-5)


def test_a_text_of_the_index_finds_itself(indexed):
    (best, *rest) = search(indexed.folder, sentences(40)[23], 3)
    assert (best.id, best.text) == ("s23", sentences(40)[23]) and best.score == pytest.approx(1.0, abs=1e-5)
    assert len(rest) == 2


def test_rows_are_added_and_removed_without_building_anew(scored, indexed, tmp_path):
    before = [path.stat().st_mtime_ns for path in sorted(indexed.folder.glob("vectors-*.npy"))]
    (tmp_path / "more.jsonl").write_text(json.dumps({"name": "new", "text": "a wholly new thing"}) + "\n")
    index(scored, [str(tmp_path / "more.jsonl")], indexed.folder, add=True, remove=("s23", "s0"), id_column="name")
    made = Index.open(indexed.folder)
    assert made.rows == 39 and made.blocks == (16, 16, 8, 1)
    assert [path.stat().st_mtime_ns for path in sorted(made.folder.glob("vectors-*.npy"))][:3] == before
    found = {hit.id for hit in search(made, sentences(40)[23], 99)}
    assert len(found) == 39 and "new" in found and not found & {"s23", "s0"}
    index(scored, [], made.folder, remove=("new",))
    assert Index.open(made.folder).rows == 38 and len(list(made.folder.glob("removed-*.npy"))) == 1


def test_a_graph_finds_what_comparing_all_rows_finds_also_after_changes(scored, indexed, tmp_path):
    pytest.importorskip("usearch")
    made = index(scored, [], indexed.folder, remove=("s7",), graph=True)
    (tmp_path / "more.csv").write_text("name,text\nnew,a wholly new thing\n")
    made = index(scored, [str(tmp_path / "more.csv")], indexed.folder, add=True, remove=("s9",), id_column="name")
    assert made.graph["rows"] == 41 and len(list(made.folder.glob("graph-*"))) == 1
    for query in ("red cat", "a wholly new thing", sentences(40)[9]):
        near, exact = search(made.folder, query, 12), search(made.folder, query, 12, exact=True)
        assert [hit.id for hit in near] == [hit.id for hit in exact] and not {"s7", "s9"} & {hit.id for hit in near}
        assert [hit.score for hit in near] == pytest.approx([hit.score for hit in exact], abs=1e-5)


def test_a_graph_that_is_damaged_or_needs_what_is_not_installed_is_told_of(scored, indexed, monkeypatch, heard):
    pytest.importorskip("usearch")
    made = index(scored, [], indexed.folder, remove=("s7",), graph=True)
    path = made.folder / made.graph["file"]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged; search with --exact"):
        search(made.folder, "red cat", 3)
    assert len(search(made.folder, "red cat", 3, exact=True)) == 3
    monkeypatch.setattr("horngate.pipelines.nlp.similar.search.available", lambda: False)
    assert len(search(made.folder, "red cat", 3)) == 3
    assert any("horngate[search]" in line for line in heard.notices)
    with pytest.raises(UserError, match=r"install horngate\[search\]"):
        index(scored, [], indexed.folder, remove=("s8",))


def test_a_killed_change_leaves_the_index_as_it_was(scored, indexed, tmp_path, monkeypatch):
    before, calls = (indexed.folder / "index.json").read_bytes(), []
    (tmp_path / "more.csv").write_text("\n".join(["name,text", *(f"n{n},{t}" for n, t in enumerate(sentences(40)))]))

    def killed(path, array):
        calls.append(path)
        if len(calls) == 2:
            raise SystemExit(137)
        return kept(path, array)

    kept = vectors._write_array
    monkeypatch.setattr(vectors, "_write_array", killed)
    with pytest.raises(SystemExit):
        index(scored, [str(tmp_path / "more.csv")], indexed.folder, add=True, id_column="name")
    monkeypatch.undo()
    monkeypatch.setattr(vectors, "ROWS", 16)
    assert (indexed.folder / "index.json").read_bytes() == before and Index.open(indexed.folder).rows == 40
    assert len(search(indexed.folder, "red cat", 99)) == 40
    made = index(scored, [str(tmp_path / "more.csv")], indexed.folder, add=True, id_column="name")
    assert made.rows == 80 and {hit.id for hit in search(made.folder, "red", 99)} >= {"n0", "n39", "s0", "s39"}


def test_mistaken_changes_leave_the_index_as_it_was(scored, indexed, tmp_path):
    before = (indexed.folder / "index.json").read_bytes()
    texts = [str(tmp_path / "texts.csv")]
    with pytest.raises(UserError, match='"s0" is in the index already'):
        index(scored, texts, indexed.folder, add=True, id_column="name")
    with pytest.raises(UserError, match='no row "nobody"'):
        index(scored, [], indexed.folder, remove=("nobody",))
    with pytest.raises(UserError, match="holds an index already"):
        index(scored, texts, indexed.folder)
    with pytest.raises(UserError, match="is no index that could be changed"):
        index(scored, texts, tmp_path / "nowhere", add=True)
    with pytest.raises(UserError, match="not empty"):
        index(scored, texts, tmp_path)
    assert (indexed.folder / "index.json").read_bytes() == before
    assert search(indexed.folder, "red", 99, scored.folder)


def test_a_query_through_another_model_is_refused(scored, indexed, tmp_path):
    other = Path(shutil.copytree(scored.folder, tmp_path / "other"))
    assert search(indexed.folder, "red cat", 3, run=other)  # moved, and still the same
    (other / "schema.json").write_text(json.dumps(read_json(other / "schema.json") | {"length": 4}))
    with pytest.raises(UserError, match="another model"):
        search(indexed.folder, "red cat", 3, run=other)
    (other / "recipe.yaml").write_text("domain: nlp\ntask: classify\n")
    with pytest.raises(UserError, match="nlp classify; an index takes one of nlp similar"):
        index(other, ["x.txt"], tmp_path / "index of other")


def test_an_index_that_is_being_written_or_is_damaged_is_refused(scored, indexed):
    from filelock import FileLock

    with FileLock(indexed.folder / ".lock"), pytest.raises(UserError, match="another process is writing the index"):
        index(scored, [], indexed.folder, remove=("s1",))
    block = indexed.folder / "vectors-000001.npy"
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(UserError, match="vectors-000001.npy"):
        search(indexed.folder, "red", 3)


def test_texts_that_cannot_be_read_are_left_out_of_an_index(scored, tmp_path):
    (tmp_path / "good.txt").write_text("the red cat")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    made = index(scored, [str(tmp_path / "good.txt"), str(tmp_path / "bad.txt")], tmp_path / "index")
    assert made.rows == 1
    with pytest.raises(UserError, match="none of the texts could be read"):
        index(scored, [str(tmp_path / "bad.txt")], tmp_path / "none")


def test_index_and_search_speak_json(scored, tmp_path, cli):
    (tmp_path / "t.csv").write_text("text\nthe red cat\nthe blue dog\n")
    code, out, err = cli("nlp", "similar", "index", scored.folder, tmp_path / "t.csv", "-o", tmp_path / "index")
    assert (code, out.strip()) == (0, str(tmp_path / "index")), err
    code, out, _ = cli("nlp", "similar", "search", tmp_path / "index", "the blue dog", "-k", 1, "--json")
    (hit,) = json.loads(out)
    assert code == 0 and (hit["id"], hit["text"]) == ("t.csv: row 2", "the blue dog")
    code, out, _ = cli("nlp", "similar", "search", tmp_path / "index", "the blue dog")
    assert code == 0 and "the red cat" in out
    code, _, err = cli("nlp", "similar", "search", tmp_path / "nowhere", "x")
    assert code == 1 and "no index" in err and len(err.strip().splitlines()) == 1
