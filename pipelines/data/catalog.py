"""TensorFlow Datasets as a source: `tfds:NAME`, kept as encoded bytes in a memory-mapped file, not in memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from horngate.pipelines import offline
from horngate.pipelines.card import Data
from horngate.pipelines.data.sources import BLOCK, SPLITS, block
from horngate.pipelines.errors import UserError


def tfds_blocks(name: str, card: Data) -> Iterator[pa.Table]:
    """Yield blocks of a prepared TensorFlow data set; one that isn't is downloaded by tensorflow-datasets.

    Raises:
        UserError: unknown, not at hand without a network, or without a picture and a class label.
    """
    builder = _builder(name)
    picture, label = _features(builder, card)
    names = builder.info.features[label].int2str
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.arrow"
        _store(builder, picture, label, names, path)
        # The file's pages stay readable after its name is gone.
        with pa.memory_map(str(path)) as mapped:
            table = pa.ipc.open_stream(mapped).read_all()
        yield table


def _builder(name: str):
    import tensorflow_datasets as tfds
    from absl import logging

    logging.set_verbosity(logging.ERROR)  # what is missing is said below, in one line
    try:
        builder = tfds.builder(name)
        if offline.forbidden() and not builder.is_prepared():
            raise offline.Forbidden("it was never prepared here, and the network is forbidden (--offline)")
        builder.download_and_prepare()
        return builder
    except Exception as problem:  # tensorflow-datasets raises whatever its transports raise
        why = " ".join(str(problem).split())[:160]
        raise UserError(
            f"tfds:{name} is not at hand ({why}). Prepare it on a machine with a network "
            f"(`tfds build {name}`), copy the folder, and set TFDS_DATA_DIR to it"
        ) from None


def _features(builder, card: Data) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    features = dict(builder.info.features.items())
    found = []
    for role, kind, wish in (
        ("input", tfds.features.Image, getattr(card, "input_column", None)),
        ("target", tfds.features.ClassLabel, getattr(card, "target_column", None)),
    ):
        names = [wish] if wish else [name for name, feature in features.items() if isinstance(feature, kind)]
        if len(names) != 1 or not isinstance(features.get(names[0]), kind):
            raise UserError(
                f"tfds:{builder.info.name} has no clear {role}; name one with --{role}-column: {', '.join(features)}"
            )
        found.append(names[0])
    return found[0], found[1]


def _store(builder, picture: str, label: str, class_name, path: Path) -> None:
    import tensorflow_datasets as tfds

    writer, columns = None, {}
    with pa.OSFile(str(path), "wb") as out:
        for split in builder.info.splits:
            decoders = {picture: tfds.decode.SkipDecoding()}
            rows = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
            for number, row in enumerate(rows):
                columns.setdefault("id", []).append(f"{split}/{number}")
                columns.setdefault("value", []).append(row[picture])
                columns.setdefault("target", []).append(class_name(int(row[label])))
                columns.setdefault("split", []).append(SPLITS.get(split))
                if len(columns["id"]) == BLOCK:
                    writer, columns = _written(writer, out, columns), {}
        writer = _written(writer, out, columns) if columns else writer
        if writer is None:
            raise UserError(f"tfds:{builder.info.name} holds no rows")
        writer.close()


def _written(writer, out, columns: dict[str, list]):
    table = block(columns)
    writer = writer or pa.ipc.new_stream(out, table.schema)
    writer.write_table(table)
    return writer
