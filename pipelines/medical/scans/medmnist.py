"""MedMNIST `.npz` files: pictures, labels and splits as their makers give them."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.sources.blocks import BLOCK, block
from horngate.pipelines.medical.scans.reading import as_bytes
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}


def npz_blocks(path: Path, card: Data, labelled: bool) -> Iterator[pa.Table]:
    """Yield the rows of a MedMNIST file, `train_images`, `train_labels` and so on, with their splits.

    Labels are the numbers that stand there, as texts; of several columns, the numbers of those that hold 1, joined by the
    card's separator.

    Raises:
        UserError: no such file, arrays missing, or several labels without a separator.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path} is no readable .npz file of plain arrays") from None
    found = [name for name in SPLITS if f"{name}_images" in arrays]
    if not found:
        raise UserError(
            f"{path} holds no train_images, val_images or test_images. Found: {', '.join(arrays) or 'nothing'}"
        )
    for name in found:
        pixels, labels = arrays[f"{name}_images"], arrays.get(f"{name}_labels")
        if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3):
            raise UserError(
                f"{path}: {name}_images should be [n, h, w] or [n, h, w, 3]. Received: {list(pixels.shape)}"
            )
        if labelled and (labels is None or len(labels) != len(pixels)):
            raise UserError(f"{path}: {name}_labels should have as many rows as {name}_images")
        targets = _targets(labels, card, path) if labelled else [None] * len(pixels)
        for start in range(0, len(pixels), BLOCK):
            rows = range(start, min(start + BLOCK, len(pixels)))
            columns = {"id": [f"{name}/{row}" for row in rows], "value": [as_bytes(pixels[row]) for row in rows]}
            columns |= {"target": [targets[row] for row in rows], "split": [SPLITS[name] for _ in rows]}
            yield block(columns)


def _targets(labels: np.ndarray, card: Data, path: Path) -> list[str]:
    table = labels.reshape(len(labels), -1)
    if table.shape[1] == 1:
        return [str(value) for value in table[:, 0].tolist()]
    separator = getattr(card, "label_separator", None)
    if separator is None:
        raise UserError(f"{path} holds {table.shape[1]} labels a picture; give --label-separator ';' to learn them all")
    return [separator.join(map(str, np.flatnonzero(row))) for row in table]
