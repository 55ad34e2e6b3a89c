"""Sources: folders, tables, samples and TensorFlow data sets give one schema, and nothing is lost on the way."""

import json
import os
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from horngate.pipelines.data.sources.blocks import CORE, Listing, regrouped
from horngate.pipelines.data.sources.loader import examples, unlabelled
from horngate.pipelines.images.reader import SUFFIXES
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.vision import Classify


def listed(source, listing=None, **knobs):
    return examples(Classify(data=str(source), **knobs), SUFFIXES, listing)


def test_class_folders_give_labels_and_relative_ids(photos):
    (photos / "red" / "deep").mkdir()
    (photos / "red" / "000.png").rename(photos / "red" / "deep" / "x.PNG")
    table = listed(photos)
    assert table.num_rows == 36 and "red/deep/x.PNG" in table["id"].to_pylist()
    assert set(table["target"].to_pylist()) == {"red", "green", "blue"}
    assert [field.name for field in table.schema] == list(CORE)


def test_split_folders_are_kept(photos, tmp_path):
    root = tmp_path / "split"
    for name in ("train", "val", "test"):
        (root / name).mkdir(parents=True)
    (photos / "red").rename(root / "train" / "red")
    (photos / "green").rename(root / "val" / "green")
    (photos / "blue").rename(root / "test" / "blue")
    table = listed(root)
    pairs = set(zip(table["target"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert pairs == {("red", "train"), ("green", "validation"), ("blue", "test")}


def test_files_that_are_no_pictures_are_counted_and_loops_refused(photos):
    (photos / "red" / "notes.txt").write_text("x")
    (photos / "red" / ".hidden.png").write_text("x")
    (photos / "red" / "loop").symlink_to(photos)
    (photos / "stray.png").write_bytes((photos / "red" / "000.png").read_bytes())
    listing = Listing()
    table = listed(photos, listing)
    assert table.num_rows == 37 and listing.skipped == {".txt": 1} and listing.loops == ["red/loop"]
    stray = table.filter(pc.equal(table["id"], "stray.png"))
    assert "no class folder" in stray["error"][0].as_py()


def write(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_table_resolves_paths_against_its_folder_and_keeps_columns(photos):
    path = write(
        photos / "t.csv", "\ufeffpath,label,split,age,label2\nred/000.png,r,train,007,\nblue/001.png,b,dev,8,x\n"
    )
    table = listed(path, split_column="split")
    assert table["input"].to_pylist() == [os.fsencode(photos / "red/000.png"), os.fsencode(photos / "blue/001.png")]
    assert table["split"].to_pylist() == ["train", "validation"]
    assert table["age"].to_pylist() == ["007", "8"] and table["label2"].to_pylist() == [None, "x"]
    assert listed(path, keep_column=("age",)).column_names == [*CORE, "age"]


def test_columns_that_collide_with_answers_are_renamed(photos):
    path = write(photos / "t.csv", "path,class,score,id\nred/000.png,r,3,9\n")
    assert listed(path).column_names[len(CORE) :] == ["data_score", "data_id"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label,label\na,b,c\n", '"label" more than once'),
        ("file_path,label\na,b\n", "no clear input column.*file_path, label.*--input-column"),
        ("path,input,label\na,b,c\n", "no clear input column"),
        ("path;label\na;b\n", "semicolons"),
        ("", "empty"),
        ("path,label\n", "no rows"),
        (b"path,label\n\xe9.png,x\n", "byte 11 can't be decoded.*--encoding"),
        ("path,label,split\na,b,holdout\n", "train, validation or test"),
    ],
)
def test_a_broken_table_is_one_line_with_the_fix(tmp_path, text, said):
    path = write(tmp_path / "t.csv", text)
    split = "split" if isinstance(text, str) and "split" in text else None
    with pytest.raises(UserError, match=said):
        listed(path, split_column=split)


def test_another_encoding_can_be_named(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\n\xe9.png,\xfcber\n".encode("latin-1"))
    assert listed(path, encoding="latin-1")["target"].to_pylist() == ["über"]


def test_ragged_rows_and_rows_without_target_stay_with_their_reason(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\na.png,x\nb.png\nc.png,y,z\nd.png,\n,x\n" + f"{'e' * 10_000_000},x\n")
    table = listed(path)
    assert table["error"].to_pylist() == [
        None,
        "row 2 has 1 cells, the header 2",
        "row 3 has 3 cells, the header 2",
        "no target",
        "no input",
        None,
    ]
    assert table.num_rows == 6


def test_a_nul_in_a_cell_is_the_reason_of_its_row(tmp_path):
    from horngate.pipelines.data.reading import content
    from horngate.pipelines.spec.errors import Unreadable

    path = write(tmp_path / "t.csv", "path,label\na\0b.png,x\nc.png,y\n")
    table = listed(path)
    assert table.num_rows == 2 and table["target"].to_pylist() == ["x", "y"]
    with pytest.raises(Unreadable, match="NUL"):
        content(table["input"][0].as_py(), None)


def test_a_path_that_leaves_the_folder_is_refused_unless_allowed(tmp_path):
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "t.csv", "path,label\n../secret.png,x\n/etc/passwd,y\nsub/../ok.png,z\n")
    errors = listed(path)["error"].to_pylist()
    assert "--allow-outside" in errors[0] and "--allow-outside" in errors[1] and errors[2] is None
    assert listed(path, allow_outside=True)["error"].to_pylist() == [None, None, None]


def test_jsonl_parquet_and_tsv_read_like_csv(tmp_path):
    rows = [{"path": "a.png", "label": "x", "n": 1}, {"path": "b.png", "label": "y", "n": None}]
    write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)) + "\nnot json\n[1]\n")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    write(tmp_path / "t.tsv", "path\tlabel\tn\na.png\tx\t1\nb.png\ty\t\n")
    jsonl = listed(tmp_path / "t.jsonl")
    assert jsonl["error"].to_pylist() == [None, None, "row 3 is no JSON", "row 4 is no JSON object"]
    for table in (jsonl.slice(0, 2), listed(tmp_path / "t.parquet"), listed(tmp_path / "t.tsv")):
        assert table["target"].to_pylist() == ["x", "y"] and table["n"].to_pylist() == ["1", None]
    with pytest.raises(UserError, match="no readable Parquet"):
        listed(write(tmp_path / "bad.parquet", b"PAR1xxxx"))


def test_parquet_may_hold_the_pictures_themselves(photos, tmp_path):
    data = (photos / "red" / "000.png").read_bytes()
    pq.write_table(pa.table({"image": [{"bytes": data, "path": "x"}], "label": ["r"]}), tmp_path / "t.parquet")
    table = listed(tmp_path / "t.parquet", id_column=None)
    assert table["value"].to_pylist() == [data] and table["input"].to_pylist() == [None]


def test_ids_are_unique_or_an_error(tmp_path):
    path = write(tmp_path / "t.csv", "path,label,key\na.png,x,1\na.png,y,1\n")
    assert listed(path)["id"].to_pylist() == ["a.png", "a.png#2"]
    with pytest.raises(UserError, match='"1" stands there more than once'):
        listed(path, id_column="key")


def test_inputs_to_predict_may_be_files_folders_globs_and_tables(photos):
    table = write(photos / "t.csv", "path,key\nred/000.png,k\n")
    card = Classify()
    ids = [
        name
        for source in (
            photos / "red" / "001.png",
            photos / "blue",
            f"{photos}/green/00*.png",
            photos / "gone.png",
            table,
        )
        for block in unlabelled([str(source)], card, SUFFIXES, Listing())
        for name in block["id"].to_pylist()
    ]
    assert len(ids) == 1 + 12 + 10 + 1 + 1
    assert ids[0] == str(photos / "red" / "001.png") and ids[-1] == "red/000.png"
    (block,) = unlabelled([str(table)], replace(card, id_column="key"), SUFFIXES, Listing())
    assert block["id"].to_pylist() == ["k"]
    with pytest.raises(UserError, match="matches no file"):
        list(unlabelled([f"{photos}/none*.png"], card, SUFFIXES, Listing()))


def test_names_that_are_no_utf8_are_percent_encoded_ids_and_still_open(photos):
    name = os.fsencode(photos / "red") + b"/\xff\xfe.png"
    (photos / "red" / "000.png").rename(os.fsdecode(name))
    table = listed(photos)
    assert "red/%FF%FE.png" in table["id"].to_pylist() and name in table["input"].to_pylist()


def test_blocks_are_regrouped_without_losing_a_row():
    blocks = [pa.table({"a": list(range(start, start + 7))}) for start in range(0, 70, 7)]
    parts = list(regrouped(iter(blocks), 16))
    assert [part.num_rows for part in parts] == [16, 16, 16, 16, 6]
    assert pa.concat_tables(parts)["a"].to_pylist() == list(range(70))


def test_a_sample_that_is_not_there_names_the_nearest():
    with pytest.raises(UserError, match='Did you mean "digits"'):
        listed("sample:digit")


def test_a_local_tensorflow_data_set_is_read_as_encoded_pictures(tmp_path, monkeypatch, photos):
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def rows(count, seed):
        draw = np.random.default_rng(seed)
        pictures = draw.integers(0, 255, (count, 12, 12, 3), np.uint8)
        return tf.data.Dataset.from_tensor_slices({"image": pictures, "label": draw.integers(0, 2, count)})

    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(12, 12, 3)), "label": tfds.features.ClassLabel(names=["cat", "dog"])}
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="pets",
        version="1.0.0",
        features=features,
        data_dir=tmp_path,
        split_datasets={"train": rows(6, 0), "test": rows(3, 1)},
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path), raising=False)
    table = listed("tfds:pets")
    assert sorted(table["split"].to_pylist()) == ["test"] * 3 + ["train"] * 6
    assert set(table["target"].to_pylist()) == {"cat", "dog"} and "train/0" in table["id"].to_pylist()
    assert all(value.startswith(b"\x89PNG") for value in table["value"].to_pylist())
    with pytest.raises(UserError, match="TFDS_DATA_DIR"):
        listed("tfds:no_such_data_set_here")


def test_texts_and_pairs_of_a_local_tensorflow_data_set_are_read(tmp_path, monkeypatch):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from horngate.pipelines.data.sources.loader import examples
    from horngate.pipelines.nlp import Classify as Texts
    from horngate.pipelines.nlp import Similar

    rows = {"sentence": ["good", "bad", "ça va"], "other": ["well", "ill", "fine"], "label": [1, 0, -1]}
    rows["closeness"] = [0.25, 4.0, 5.0]
    kinds = {"sentence": tfds.features.Text(), "other": tfds.features.Text()}
    kinds |= {"label": tfds.features.ClassLabel(names=["no", "yes"]), "closeness": tf.float32}
    splits = {"train": tf.data.Dataset.from_tensor_slices(rows)}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="says",
        version="1.0.0",
        features=tfds.features.FeaturesDict(kinds),
        data_dir=tmp_path,
        split_datasets=splits,
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path), raising=False)
    table = examples(Texts(data="tfds:says"), (".txt",)).sort_by("id")
    assert table["value"].to_pylist() == [b"good", b"bad", "ça va".encode()]
    assert table["target"].to_pylist() == ["yes", "no", None]
    assert table["error"].to_pylist() == [None, None, "no target"]
    pairs = Similar(data="tfds:says", pair_column="other", target_column="closeness")
    table = examples(pairs, (".txt",)).sort_by("id")
    assert [json.loads(value) for value in table["value"].to_pylist()][2] == ["ça va", "fine"]
    assert table["target"].to_pylist() == ["0.25", "4", "5"]
    with pytest.raises(UserError, match="no clear pair; name one with --pair-column: "):
        examples(Texts(data="tfds:says", pair_column="label"), (".txt",))


@pytest.mark.parametrize("kind", ["int64", "float32"])
def test_recordings_of_a_local_tensorflow_data_set_are_read_with_their_speakers(kind, tmp_path, monkeypatch):
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from horngate.pipelines.data.sources.loader import examples
    from horngate.pipelines.speech import Keywords, Transcribe
    from horngate.pipelines.speech.audio.decoding import SUFFIXES, sound_of

    wave = np.sin(np.arange(4000) / 5)
    samples = np.stack([wave * (row + 1) / 4 for row in range(3)])
    stored = np.rint(samples * 32767).astype(np.int64) if kind == "int64" else samples.astype(np.float32)
    rows = {"audio": stored, "label": [1, 0, 1], "speaker": [7, 8, 7], "text": ["go on", "stop", ""]}

    def prepared(name, rate):
        kinds = {"audio": tfds.features.Audio(shape=(None,), dtype=tf.as_dtype(kind), sample_rate=rate)}
        kinds |= {"label": tfds.features.ClassLabel(names=["no", "yes"]), "speaker": tf.int64}
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(kinds | {"text": tfds.features.Text()}),
            data_dir=tmp_path,
            split_datasets={"test": tf.data.Dataset.from_tensor_slices(rows)},
        )

    prepared("voices", 8000)
    prepared("rateless", None)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path), raising=False)

    def by_loudness(card):
        found = examples(card, SUFFIXES).to_pylist()  # which come shuffled
        return sorted(found, key=lambda row: np.abs(sound_of(row["value"], 60.0).samples).max())

    found = by_loudness(Keywords(data="tfds:voices", group_column="speaker"))
    assert [(row["target"], row["group"], row["split"]) for row in found] == [
        ("yes", "7", "test"),
        ("no", "8", "test"),
        ("yes", "7", "test"),
    ]
    for row, wanted in zip(found, samples, strict=True):
        sound = sound_of(row["value"], 60.0)
        assert sound.rate == 8000 and np.abs(sound.samples - wanted).max() < 1e-4
    found = by_loudness(Transcribe(data="tfds:voices"))
    assert [(row["target"], row["error"]) for row in found] == [("go on", None), ("stop", None), (None, "no target")]
    with pytest.raises(UserError, match="samples its recordings have per second"):
        examples(Keywords(data="tfds:rateless"), SUFFIXES)
    with pytest.raises(UserError, match="has no voice: "):
        examples(Keywords(data="tfds:voices", group_column="voice"), SUFFIXES)


def test_definitions_are_those_of_the_whole_tree_in_its_order():
    import ast

    from horngate.pipelines.data.samples.docstrings import _definitions

    source = """
try:
    def one(): pass
except OSError:
    class Two:
        def three(self):
            with self:
                async def four(): pass
else:
    def five(): pass
finally:
    for x in ():
        def six(): pass
    else:
        def seven(): pass
match x:
    case 1:
        def eight(): pass
"""
    tree = ast.parse(source)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    assert list(_definitions(tree)) == [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_small_files_are_read_once_and_rows_keep_their_order(tmp_path):
    import numpy as np

    from horngate.pipelines.data.sources.blocks import block
    from horngate.pipelines.training.rows import ReadRows

    class Reader:
        size_of = None
        card = Classify(data="x")

        def read(self, data, seed):
            return np.frombuffer(data, np.uint8)

        def collate(self, tensors):
            return np.stack(tensors)

    paths = [tmp_path / f"{number}.bin" for number in range(50)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    table = block({"id": [path.name for path in paths], "input": [os.fsencode(path) for path in paths]})
    rows = ReadRows(Reader(), table, np.zeros((50, 1), np.float32))
    order = np.random.default_rng(0).permutation(50)
    first = [rows.batch(order, epoch)[0][:, 0].tolist() for epoch in range(5)]
    paths[7].unlink()
    assert [*first, rows.batch(order, 5)[0][:, 0].tolist()] == [order.tolist()] * 6
