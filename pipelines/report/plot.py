"""What a task wants drawn in its report, said without drawing it. Light: matplotlib is met only while a page is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plot:
    """One figure of a page.

    Attributes:
        name: unique on the page; lower-case letters, digits and hyphens.
        title: a few words above it.
        text: what it shows, in words, for those who can't see it.
        draw: takes matplotlib axes and draws on them, in the colours of `pipelines.report.drawing`.
        caption: what to look at, below it; may be empty.
        width, height: of the whole figure, in pixels; wider than 720 scrolls inside its box.
        section: where it stands: `answers`, or `calibration`.
    """

    name: str
    title: str
    text: str
    draw: Callable[[Any], None]
    caption: str = ""
    width: int = 400
    height: int = 290
    section: str = "answers"


@dataclass(frozen=True)
class Shown:
    """One row as people look at it: `picture`, `heat` (what spoke for the answer) and `mask` (what should have) are JPEG or

    PNG bytes, `sound` WAV bytes that are played.

    `marks` are parts of a text with a strength from 0 to 3: how much each speaks for the answer. They stand for `text`.
    """

    picture: bytes | None = None
    heat: bytes | None = None
    text: str | None = None
    mask: bytes | None = None
    marks: tuple[tuple[str, int], ...] = ()
    sound: bytes | None = None
