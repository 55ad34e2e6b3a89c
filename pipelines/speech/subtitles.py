"""Segments of a transcript as people read them: phrases with times, and files of subtitles."""

from pathlib import Path
from typing import Any

from horngate.pipelines.files import write_text

PAUSE = 0.6  # seconds of silence that end a phrase
LONGEST = 7.0  # seconds of a phrase
SIGNS = 84  # of a phrase: two lines of subtitles
LINE = 42  # signs of a line

Timed = tuple[float, float, str]


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


class Files:
    """Writes one file of subtitles for each recording, named as its id.

    Args:
        folder: where; made when it isn't there.
        kind: `srt` or `vtt`.
    """

    def __init__(self, folder: str | Path, kind: str):
        self.folder, self.kind, self.taken = Path(folder), kind, {}

    def write(self, name: str, segments: list[Timed]) -> Path:
        """Write the file of one recording and return its path.

        Raises:
            UserError: the folder can't be written.
        """
        plain = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in Path(name).stem)[:120]
        plain = plain.strip(".") or "recording"
        number = 1
        while self.taken.setdefault(self._numbered(plain, number).lower(), name) != name:
            number += 1
        path = self.folder / f"{self._numbered(plain, number)}.{self.kind}"
        write_text(path, FORMATS[self.kind](segments))
        return path

    @staticmethod
    def _numbered(plain: str, number: int) -> str:
        return plain if number == 1 else f"{plain}-{number}"


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
