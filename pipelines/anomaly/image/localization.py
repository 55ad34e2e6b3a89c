"""Heat maps held against masks: which pictures can be compared, what is counted of them, and which are worth a look."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import SHOWN, Finding, findings_on
from horngate.pipelines.data.reading import content, inputs_of
from horngate.pipelines.images.heat_maps import enlarged
from horngate.pipelines.images.masks import fitting, read_mask
from horngate.pipelines.images.statistics import shape_of
from horngate.pipelines.metrics.anomaly import detection, pixels
from horngate.pipelines.metrics.anomaly.pixels import Pixels
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.statistics.intervals import Uncomputable

MEASURED = pa.schema(
    [("map", pa.list_(pa.float32())), ("width", pa.int32()), ("height", pa.int32()), ("mask", pa.string())]
)
MOST_COMPARED = 1 << 20  # pixels of a picture; maps of larger ones are held against a coarser mask
MOST_RANKED = 20_000  # pictures whose maps say where the levels of scores are
TOP, WRONG = 10, 5  # cases of a report: the strangest pictures; the worst false alarms, and the worst missed anomalies


@dataclass(frozen=True)
class Mapped(detection.Outcome):
    """What is known of pictures that were scored, and of their pixels.

    Attributes:
        pixels: counts of each picture's pixels; None where no picture has a mask.
        masks: how many pictures were held against a mask, how many were left out, and why the first of them were.
    """

    pixels: Pixels | None = None
    masks: dict[str, Any] = field(default_factory=dict)


def mask_findings(table: pa.Table, truth: np.ndarray) -> list[Finding]:
    """Return findings on the masks of readable pictures.

    Args:
        truth: float32 `[n]`: 1 for an anomaly, 0 for a normal picture, NaN where nobody knows.
    """
    if "mask" not in table.column_names or table["mask"].null_count == table.num_rows:
        return []
    masks, ids = table["mask"].to_pylist(), table["id"].to_pylist()
    inputs = list(zip(table["input"].to_pylist(), table["value"].to_pylist(), strict=True))
    bare = [row for row, mask in enumerate(masks) if mask is None and truth[row] == 1]
    known = [(row, _problem(mask, *inputs[row])) for row, mask in enumerate(masks) if mask is not None]
    bad = [(row, why) for row, (why, _) in known if why is not None]
    empty = [row for row, (why, any_defect) in known if why is None and not any_defect and truth[row] == 1]
    marked = [row for row, (why, any_defect) in known if why is None and any_defect and truth[row] == 0]
    first = f" (first: {ids[bad[0][0]]}: {bad[0][1]})" if bad else ""
    found = [
        (bare, "no_mask", "anomalies have no mask; measures of pixels leave them out"),
        ([row for row, _ in bad], "bad_masks", f"masks can't be used, and measures of pixels leave them out{first}"),
        (empty, "empty_masks", "anomalies have a mask that shows no defect; measures of pixels leave them out"),
        (marked, "marked_normal", "normal pictures have a mask that shows a defect; one of both is wrong"),
    ]
    return [one for rows, code, said in found for one in findings_on("warning", code, f"{{}} {said}", rows, ids)]


@lru_cache(1 << 16)
def _problem(mask: str, place: bytes | None, value: bytes | None) -> tuple[str | None, bool]:
    """Return why a mask can't be used, and whether it shows a defect; findings are asked for more than once."""
    try:
        return None, bool(fitting(read_mask(mask), *shape_of(content(place, value))).any())
    except Unreadable as reason:
        return str(reason), False


def measured(listed: pa.Table, maps: np.ndarray) -> dict[str, Any]:
    """Return the columns of `MEASURED` for listed rows and their maps float32 `[n, places]`."""
    shapes = [shape_of(data) for data in inputs_of(listed)]
    masks = listed["mask"].to_pylist() if "mask" in listed.column_names else [None] * listed.num_rows
    sides = {name: [shape[side] for shape in shapes] for side, name in enumerate(("width", "height"))}
    return {"map": list(maps), "mask": masks} | sides


def counted(answers: pa.Table, truth: np.ndarray, schema: dict[str, Any]) -> tuple[Pixels | None, dict[str, Any]]:
    """Return the counts of all pictures' pixels and what became of the masks; (None, {}) where there are no masks.

    A normal picture without a mask has no defect. An anomaly without one, or with one that can't be used or shows no
    defect, is left out.
    """
    if "mask" not in answers.column_names or answers["mask"].null_count == answers.num_rows:
        return None, {}
    left_out: list[tuple[str, str]] = []
    places, count = schema["grid"], answers.num_rows
    some = answers["map"].take(pa.array(np.unique(np.linspace(0, count - 1, MOST_RANKED).astype(np.int64))))
    edges = pixels.edges_of(some.combine_chunks().flatten().to_numpy(), count)

    def pictures():
        columns = (answers[name] for name in ("id", "map", "width", "height", "mask"))
        for anomalous, (name, heat, width, height, mask) in zip(truth, zip(*columns, strict=True), strict=True):
            try:
                shape = width.as_py(), height.as_py()
                defects = _defects(mask.as_py(), anomalous, *shape)
                width, height = shape if defects is None else defects.shape[::-1]
                step = int(np.ceil((width * height / MOST_COMPARED) ** 0.5))
                scores = enlarged(heat.values.to_numpy().reshape(places), width, height, schema["resize"])
                yield scores[::step, ::step], None if defects is None else defects[::step, ::step]
            except Unreadable as reason:
                left_out.append((name.as_py(), str(reason)))
                yield None

    found = pixels.counted(pictures(), edges)
    said = {"pictures": count - len(left_out), "left_out": len(left_out), "first_left_out": left_out[:SHOWN]}
    return found, said | {"regions": int(found.regions.sum())}


def _defects(mask: str | None, anomalous: float, width: int, height: int) -> np.ndarray | None:
    if mask is None:
        if anomalous != 0:
            raise Unreadable("no mask")
        return None
    found = fitting(read_mask(mask), width, height)
    if anomalous == 1 and not found.any():
        raise Unreadable("its mask shows no defect")
    return found


def by_defect(answers: pa.Table, outcome: detection.Outcome) -> list[dict[str, Any]]:
    """Return for each kind of anomaly its pictures, how well it is told from normal ones (auroc), and the share found."""
    targets = np.array(answers["target"].to_pylist(), dtype=object)
    found = []
    for name in sorted({target for target, known in zip(targets, outcome.targets, strict=True) if known == 1}):
        own = targets == name
        part = detection.Outcome(*(values[own | (outcome.targets == 0)] for values in _columns(outcome)))
        try:
            area = detection.MEASURES["auroc"].prepare(part)(np.ones(len(part.scores)))
        except Uncomputable:
            area = None
        found.append(
            {"defect": name, "rows": int(own.sum()), "auroc": area, "found": float(outcome.chosen[own].mean())}
        )
    return found


def _columns(outcome: detection.Outcome) -> tuple[np.ndarray, ...]:
    return outcome.scores, outcome.targets, outcome.chosen


def cases(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[int, str]:
    """Return which pictures are worth a look, and what each is: the strangest, then false alarms and missed anomalies."""
    order = np.argsort(-scores, kind="stable")
    alarm = scores >= threshold
    false = [row for row in order if alarm[row] and truth[row] == 0]
    missed = [row for row in order[::-1] if not alarm[row] and truth[row] == 1]
    found = {int(row): "alarm" if alarm[row] else "no alarm" for row in order[:TOP]}
    found |= {int(row): "false alarm" for row in false[:WRONG]}
    return found | {int(row): "missed" for row in missed[:WRONG]}
