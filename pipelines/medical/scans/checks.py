"""What `check` says of medical images beside what it says of all: patients, personal data, text in pixels, mixtures."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import SHOWN, Finding, findings_on

SIDES = re.compile(r"(?<![a-z])(left|right|links|rechts|gauche|droite?|laterality|sinister|dexter)(?![a-z])", re.I)
WELL = re.compile(r"normal|healthy|negative|benign|none|no[ _-].*|control|absent|clear|gesund|unauff.*", re.I)
UNLIKE = 1.2  # largest over smallest mm per pixel, from which on spacings are said to differ

NO_DEVICE = (
    "This is not a medical device: nobody has cleared it for use on patients. It was measured on the rows of this report "
    "alone; other hospitals, scanners and people may differ from them in ways that no number here shows."
)


def patient_findings(table: pa.Table) -> list[Finding]:
    """Return the warning that rows have no known patient."""
    ids, groups = table["id"].to_pylist(), table["group"].to_pylist()
    rows = [row for row, group in enumerate(groups) if group is None]
    which = "no row has a known patient" if len(rows) == len(ids) else f"{len(rows)} rows have no known patient"
    message = (
        f"{which}: images of one patient may stand on both sides of a split, which flatters every score; "
        "name the column with --group-column"
    )
    return findings_on("warning", "unknown_patients", message, rows, ids)


def flip_findings(labels: set[str], flip: str) -> list[Finding]:
    """Return the warning that left and right are learnt from mirrored images."""
    sided = sorted(name for name in labels if SIDES.search(name.replace("_", " ")))
    if not sided or flip not in ("horizontal", "both"):
        return []
    shown = ", ".join(f'"{name}"' for name in sided[:SHOWN])
    message = f"--flip {flip} mirrors left and right, and labels speak of them: {shown}; use --flip none or vertical"
    return [Finding("warning", "mirrored_sides", message, len(sided))]


def positive_findings(labels: set[str], positive: str | None) -> list[Finding]:
    """Return the warning that of two labels the one that sounds healthy counts as positive, since it is the last by name."""
    names = sorted(labels)
    if positive is not None or len(names) != 2 or not WELL.fullmatch(names[1]) or WELL.fullmatch(names[0]):
        return []
    message = (
        f'"{names[1]}" counts as positive, being the last of two labels by name: sensitivity and others would speak of it; '
        f'is --positive "{names[0]}" meant?'
    )
    return [Finding("warning", "positive_is_normal", message, 0)]


def image_findings(table: pa.Table, facts: list[Any]) -> list[Finding]:
    """Return findings on the images themselves: personal data in headers, burned-in text, mixtures."""
    ids = table["id"].to_pylist()
    personal, burnt = (
        np.flatnonzero([bool(getattr(fact, name)) for fact in facts]) for name in ("personal", "burned_in")
    )
    found = findings_on("note", "personal_headers", _personal(facts), personal, ids)
    burned = "{} images likely have text burned into their pixels, which may name the patient or give the answer away"
    return found + findings_on("warning", "burned_in_text", burned, burnt, ids) + _mixtures(facts)


def _personal(facts: list[Any]) -> str:
    names = Counter(name for fact in facts for name in fact.personal)
    shown = ", ".join(f"{name} ({count})" for name, count in names.most_common(SHOWN))
    return f"{{}} files have personal data in their headers, none of which is kept: {shown}"


def _mixtures(facts: list[Any]) -> list[Finding]:
    found = []
    said = {
        "modality": ("modalities", "what tells them apart may tell the labels apart"),
        "photometric": ("photometric interpretations", "all are read so that low values are dark"),
    }
    for name, (title, meaning) in said.items():
        counts = Counter(getattr(fact, name) for fact in facts if getattr(fact, name))
        if len(counts) > 1:
            shown = ", ".join(f"{value} ({count})" for value, count in counts.most_common(SHOWN))
            message = f"mixed {title}: {shown}; {meaning}"
            found.append(Finding("warning", f"mixed_{title.replace(' ', '_')}", message, sum(counts.values())))
    sizes = [length for fact in facts if fact.spacing for length in fact.spacing]
    if sizes and max(sizes) > UNLIKE * min(sizes):
        message = (
            f"mixed spacings: a pixel is {min(sizes):.3g} to {max(sizes):.3g} mm wide, so that sizes can't be compared"
        )
        found.append(Finding("warning", "mixed_spacings", message, sum(fact.spacing is not None for fact in facts)))
    return found
