"""TensorFlow Datasets as a source: `tfds:NAME`, kept as encoded bytes in a memory-mapped file, not in memory."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow_datasets as tfds
from absl import logging

from horngate.pipelines.data.sources.blocks import BLOCK, SPLITS, block
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio.decoding import stored
from horngate.pipelines.system import offline


def tfds_blocks(name: str, card: Data) -> Iterator[pa.Table]:
    """Yield blocks of a prepared TensorFlow data set; one that isn't is downloaded by tensorflow-datasets.

    Inputs are its pictures, its texts where the task takes texts, its recordings where it takes sound; targets its class
    labels, its texts where a task writes texts, or its numbers where a task's targets may be missing (scores of pairs).

    Raises:
        UserError: unknown, not at hand without a network, without features that play the task's roles, or with recordings
            whose rate nobody knows.
    """
    builder = _builder(name)
    played = _features(builder, card)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.arrow"
        _store(builder, played, path)
        # The file's pages stay readable after its name is gone.
        with pa.memory_map(str(path)) as mapped:
            table = pa.ipc.open_stream(mapped).read_all()
        yield table


def _builder(name: str):
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


def _features(builder, card: Data) -> dict[str, str]:
    """Return which feature plays which role: the one that is named, else one of a usual name, else the only one."""
    features = dict(builder.info.features.items())
    found: dict[str, str] = {}
    for role in card.rows.roles:
        able = [name for name, one in features.items() if name not in found.values() and _plays(one, role, card)]
        wish = getattr(card, f"{role}_column", None)
        usual = [name for name in card.rows.roles[role] if name in able]
        chosen = [wish] if wish else usual[:1] or ([] if role in card.rows.optional else able)
        if len(chosen) == 1 and chosen[0] in able:
            found[role] = chosen[0]
        elif chosen or role not in card.rows.optional:
            raise UserError(
                f"tfds:{builder.info.name} has no clear {role}; name one with --{role}-column: {', '.join(features)}"
            )
    if card.group_column:
        if card.group_column not in features:
            raise UserError(f"tfds:{builder.info.name} has no {card.group_column}: {', '.join(features)}")
        found["group"] = card.group_column
    sound = features[found["input"]]
    if hasattr(sound, "sample_rate") and not sound.sample_rate:
        raise UserError(f"tfds:{builder.info.name} doesn't say how many samples its recordings have per second")
    return found


def _plays(feature, role: str, card: Data) -> bool:
    if role in card.rows.catalogued:
        return isinstance(feature, getattr(tfds.features, card.rows.catalogued[role]))
    if role != "target":
        return isinstance(feature, tfds.features.Text if card.rows.input == "cell" else tfds.features.Image)
    if isinstance(feature, tfds.features.ClassLabel):
        return True
    number = (
        isinstance(feature, tfds.features.Tensor) and feature.shape == () and np.issubdtype(feature.np_dtype, np.number)
    )
    return number and "target" in card.rows.optional


def _store(builder, played: dict[str, str], path: Path) -> None:
    writer, columns = None, {}
    features = builder.info.features
    encoded = isinstance(features[played["input"]], tfds.features.Image | tfds.features.Audio)
    with pa.OSFile(str(path), "wb") as out:
        for split in builder.info.splits:
            decoders = {played["input"]: tfds.decode.SkipDecoding()} if encoded else None
            rows = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
            for number, row in enumerate(rows):
                columns.setdefault("id", []).append(f"{split}/{number}")
                columns.setdefault("value", []).append(_value(row, played, features))
                columns.setdefault("group", []).append(_said("group", row, played, features))
                target = _said("target", row, played, features)
                lacking = "no target" if target is None and "target" in played else None
                columns.setdefault("target", []).append(target)
                columns.setdefault("error", []).append(lacking)
                columns.setdefault("split", []).append(SPLITS.get(split))
                if len(columns["id"]) == BLOCK:
                    writer, columns = _written(writer, out, columns), {}
        writer = _written(writer, out, columns) if columns else writer
        if writer is None:
            raise UserError(f"tfds:{builder.info.name} holds no rows")
        writer.close()


def _value(row: dict, played: dict[str, str], features) -> bytes:
    """Return an input's bytes; of a pair both texts as a JSON list, or the one that its reader will refuse (no UTF-8)."""
    parts = [row[played[role]] for role in ("input", "pair") if role in played]
    if not isinstance(parts[0], bytes):  # recordings that were prepared as samples
        return stored(parts[0], features[played["input"]].sample_rate)
    try:
        return parts[0] if len(parts) == 1 else json.dumps([part.decode() for part in parts]).encode()
    except UnicodeDecodeError as problem:
        return problem.object


def _said(role: str, row: dict, played: dict[str, str], features) -> str | None:
    """Return what plays a role in words; nothing for class labels below 0 and for what is no UTF-8."""
    if role not in played:
        return None
    value, feature = row[played[role]], features[played[role]]
    if isinstance(value, bytes):
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            return None
    if hasattr(feature, "int2str"):
        return feature.int2str(int(value)) if value >= 0 else None
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)


def _written(writer, out, columns: dict[str, list]):
    table = block(columns)
    writer = writer or pa.ipc.new_stream(out, table.schema)
    writer.write_table(table)
    return writer
