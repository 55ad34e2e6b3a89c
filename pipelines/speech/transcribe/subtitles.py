"""Segments of a transcript as people read them: phrases with times, and files of subtitles."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import write_text

PAUSE = 0.6  # seconds of silence that end a phrase
LONGEST = 7.0  # seconds of a phrase
SIGNS = 84  # of a phrase: two lines of subtitles
LINE = 42  # signs of a line
NAMED = 80  # signs of an id in a file's name

Timed = tuple[float, float, str]


@dataclass(frozen=True)
class Transcript:
    """What was heard in one recording: its text, how sure that is (0 to 1), and its words or segments."""

    text: str
    confidence: float
    segments: list[Timed]


def phrases(words: list[Timed]) -> list[Timed]:
    """Return words (start, end in seconds, text) joined to phrases, which end at pauses and before they get too long."""
    found: list[Timed] = []
    for start, end, text in words:
        if found:
            first, last, before = found[-1]
            whole = f"{before} {text}"
            if start - last < PAUSE and end - first <= LONGEST and len(whole) <= SIGNS:
                found[-1] = (first, end, whole)
                continue
        found.append((start, end, text))
    return found


def srt(segments: list[Timed]) -> str:
    """Return segments as SubRip: numbered, with commas in times."""
    entries = [
        f"{number}\n{_time(start, ',')} --> {_time(max(end, start + 0.001), ',')}\n{_lines(_bare(text))}\n"
        for number, (start, end, text) in enumerate(segments, 1)
    ]
    return "\n".join(entries)


def vtt(segments: list[Timed]) -> str:
    """Return segments as WebVTT; what its text would read as markup is escaped."""
    entries = [
        f"{_time(start, '.')} --> {_time(max(end, start + 0.001), '.')}\n{_lines(_escaped(text))}\n"
        for start, end, text in segments
    ]
    return "\n".join(["WEBVTT\n", *entries])


FORMATS = {"srt": srt, "vtt": vtt}


def folders_of(options: dict[str, Any]) -> dict[str, str]:
    """Return the folders of subtitles that a prediction was asked for, by kind."""
    return {kind: options[kind] for kind in FORMATS if options.get(kind)}


def make_folders(options: dict[str, Any]) -> None:
    """Make the folders of subtitles that a prediction was asked for.

    Raises:
        UserError: one can't be made.
    """
    for folder in folders_of(options).values():
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UserError(f"can't make the folder {folder}: {problem.strerror or problem}") from None


def write(folder: str, kind: str, name: str, segments: list[Timed]) -> Path:
    """Write the subtitles of one recording, and return their path: it begins like the recording's name, and is another one

    for every id.

    Args:
        folder: where; made when it isn't there.
        kind: `srt` or `vtt`.
        name: the row's id.

    Raises:
        UserError: the folder can't be written.
    """
    stem = re.sub(r"[^\w.-]+", "_", Path(name).stem)[-NAMED:].strip("._") or "recording"
    path = Path(folder) / f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.{kind}"
    write_text(path, FORMATS[kind](segments))
    return path


def plain_segments(segments: list[Timed]) -> list[dict[str, Any]]:
    """Return segments as answers hold them."""
    return [{"start": round(start, 2), "end": round(end, 2), "text": text} for start, end, text in segments]


def _time(seconds: float, comma: str) -> str:
    """Return a time as 00:01:02,345."""
    thousandths = max(round(seconds * 1000), 0)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{comma}{rest:03d}"


def _lines(text: str) -> str:
    """Return a text on lines of about equal length, none much longer than `LINE` signs."""
    if len(text) <= LINE:
        return text
    words, lines = text.split(), [""]
    wanted = len(text) / -(-len(text) // LINE)
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) / 2 > wanted:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _bare(text: str) -> str:
    """Return a text on one line that can't be taken for the line of times."""
    return " ".join(text.replace("-->", "→").split())


def _escaped(text: str) -> str:
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
