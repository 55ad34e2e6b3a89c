"""What `check` says of recordings beside what it says of all rows: levels, cuts, rates, lengths, speakers in names."""

import re
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import SHOWN, Finding, findings_on
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio.facts import Facts

MOST_CLIPPED = 0.001  # of the samples
MOST_OFFSET = 0.02  # of full scale
EMPTY_ABOVE = 0.6  # of half the rate: energy that ends below it was recorded at a lower rate
LIKE = 0.15  # by which ratios of lengths and of rates may differ
UNLIKE = 4.0  # times longer or shorter than the median
LEAST = 8  # rows that a pattern of names needs
MOST_RATE = 16_000  # Hz that a model gets by default: speech holds next to nothing above half of it


def common_rate(facts: list[Facts]) -> int:
    """Return the rate that most recordings have, at most 16,000 Hz.

    Raises:
        UserError: there are none.
    """
    if not facts:
        raise UserError("no recording is left to learn from")
    rates = Counter(fact.rate for fact in facts)
    return min(max(rates, key=lambda rate: (rates[rate], rate)), MOST_RATE)


def sound_findings(table: pa.Table, facts: list[Facts]) -> list[Finding]:
    """Return findings on the recordings themselves."""
    ids = table["id"].to_pylist()
    found = _on("silence", "are silent: below −60 dB", [fact.silent for fact in facts], ids)
    said = "are clipped: samples in a row stand at the peak, more than 1 in 1,000"
    found += _on("clipping", said, [fact.clipped > MOST_CLIPPED for fact in facts], ids)
    said = "have a constant offset (DC) above 2 % of full scale, from a broken input"
    found += _on("dc_offset", said, [abs(fact.offset) > MOST_OFFSET for fact in facts], ids)
    return found + _rates(facts, ids) + _lengths(facts, ids)


def speaker_findings(table: pa.Table) -> list[Finding]:
    """Return the warning that file names seem to say who speaks while rows have no group."""
    ids, groups, targets = (table[name].to_pylist() for name in ("id", "group", "target"))
    rows = [row for row, group in enumerate(groups) if group is None]
    if len(rows) < LEAST:
        return []
    which = speaker_part([ids[row] for row in rows], [targets[row] for row in rows])
    if which is None:
        return []
    place, speakers = which
    shown = ", ".join(f'"{name}"' for name in speakers[:SHOWN])
    message = (
        f"part {place} of the file names looks like a speaker ({shown}; {len(speakers)} in all), and no group is given: "
        "one voice on both sides of a split flatters every score; name a column of speakers with --group-column"
    )
    return findings_on("warning", "unknown_speakers", message, rows, ids)


def speaker_part(ids: list[str], targets: list[str | None]) -> tuple[int, list[str]] | None:
    """Return which part of file names (from 1, parted by `_` or `-`) looks like a speaker, and its values by name.

    It has few values, each in many files and with several targets, which are no mere numbers and not the targets.
    """
    parts = [re.split(r"[_-]+", PurePosixPath(name.replace("\\", "/")).stem) for name in ids]
    if len({len(part) for part in parts}) != 1 or len(parts[0]) < 2:
        return None
    best = None
    for place in range(len(parts[0])):
        values = [part[place] for part in parts]
        counts = Counter(values)
        with_targets = Counter(value for value, _ in set(zip(values, targets, strict=True)))
        if not 2 <= len(counts) <= len(ids) // 3 or all(value.isdigit() for value in counts):
            continue
        if values == targets or np.median(list(with_targets.values())) < min(2, len(set(targets))):
            continue
        if best is None or len(counts) > len(best[1]):
            best = (place + 1, sorted(counts))
    return best


def _rates(facts: list[Facts], ids: list[str]) -> list[Finding]:
    counts = Counter(fact.rate for fact in facts)
    common, _ = counts.most_common(1)[0]
    found = []
    usual = float(np.median([fact.seconds for fact in facts if fact.rate == common]))
    for rate in counts:
        rows = [row for row, fact in enumerate(facts) if fact.rate == rate]
        ratio = float(np.median([facts[row].seconds for row in rows])) / usual
        if rate != common and abs(ratio * rate / common - 1) < LIKE:
            message = (
                f"{len(rows)} recordings say {rate:,} samples per second and last {ratio:.2g} times as long as those of "
                f"{common:,}: as many samples, so that the rate in their header may not be true"
            )
            found += findings_on("warning", "doubtful_rate", message, rows, ids)
    if len(counts) > 1:
        shown = ", ".join(f"{rate:,} Hz ({count})" for rate, count in counts.most_common(SHOWN))
        message = f"several rates, brought to one when read: {shown}"
        found.append(Finding("note", "mixed_rates", message, len(facts)))
    narrow = [not fact.silent and fact.rate > 8000 and fact.highest < EMPTY_ABOVE * 4000 for fact in facts]
    said = "hold next to nothing above 2.4 kHz though their rate is higher: recorded at a lower one?"
    return found + _on("narrow_band", said, narrow, ids, "note")


def _lengths(facts: list[Facts], ids: list[str]) -> list[Finding]:
    seconds = np.array([fact.seconds for fact in facts])
    middle = float(np.median(seconds))
    shown = f"{seconds.min():.2f} to {seconds.max():.2f} seconds, half of them below {middle:.2f}"
    found = [Finding("note", "lengths", f"recordings last {shown}", len(facts))]
    odd = [bool(value > UNLIKE * middle or value < middle / UNLIKE) for value in seconds]
    return found + _on("odd_lengths", f"are {UNLIKE:g} times longer or shorter than half of all", odd, ids)


def _on(code: str, said: str, marked: list[bool], ids: list[str], grade: str = "warning") -> list[Finding]:
    return findings_on(grade, code, f"{{}} recordings {said}", np.flatnonzero(marked), ids, first=True)
