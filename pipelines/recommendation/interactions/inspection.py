"""The first look at a log: what can be used, how it is split, what is wrong with it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.checks import Finding, quarantine_findings
from horngate.pipelines.data.duplicates import Duplicates
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.data.survey import Survey
from horngate.pipelines.recommendation.interactions.cases import cases
from horngate.pipelines.recommendation.interactions.log import Log, Reading, core, merged, refuse_empty
from horngate.pipelines.recommendation.interactions.log_files import read_log
from horngate.pipelines.recommendation.interactions.side_files import ROLES, SideTable, read_side_table
from horngate.pipelines.recommendation.interactions.splits import TEST, TRAIN, VALIDATION, inherited, split
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import digest


@dataclass(frozen=True)
class LogInspection(Survey):
    """A survey of a log; its rows are cases.

    Attributes:
        log: the interactions that can be used.
        sides: int8 `[n]`, the split of each.
        rule: by which missing splits were made.
        notes: sentences on the splits.
        read: interactions that could be read.
        protocol: what scores depend on.
        tables: the side tables that there are, by role.
    """

    log: Log
    sides: np.ndarray
    rule: str
    notes: list[str]
    read: int
    protocol: dict
    tables: dict[str, SideTable]

    @property
    def usable(self) -> int:
        return self.read

    def store(self) -> InteractionStore:
        """Return what a run keeps of the log, before anything is learnt."""
        ids = {"user": self.log.users, "item": self.log.items}
        featured = {
            role: pc.is_in(ids[role], value_set=pa.array(table.ids, pa.string())).to_numpy(zero_copy_only=False)
            for role, table in self.tables.items()
        }
        return InteractionStore(self.log, self.sides, featured=featured)


def inspect_log(card: Data, repeats: bool = False) -> LogInspection:
    """Read, clean, filter and split the log of a card.

    Args:
        repeats: keep it when a user met an item again.

    Raises:
        UserError: no log there, or one too small to learn from.
    """
    reading = read_log(card.data, card)
    log, repeated = (reading.log, 0) if repeats else merged(reading.log)
    log, filtered = core(log, card.min_user, card.min_item)
    log, tables = _with_tables(log.compact(), card)
    reading = replace(reading, log=_shuffled(log, card.seed), repeated=repeated, filtered=filtered)
    findings = quarantine_findings(reading.quarantined, reading.listed, card.max_quarantine)
    if not any(finding.grade == "error" for finding in findings):
        refuse_empty(reading, card.data)
    findings += [finding for table in tables.values() for finding in table.findings]
    return _split(card, reading, findings, tables)


def _with_tables(log: Log, card: Data) -> tuple[Log, dict[str, SideTable]]:
    """Return the log with the ids of side tables behind its own, and these tables by role."""
    tables = {}
    for role, knob in ROLES.items():
        if (path := getattr(card, knob, None)) is not None and len(log):
            ids = getattr(log, knob)
            table, known = read_side_table(path, card, role), set(ids.to_pylist())
            tables[role] = replace(table, findings=table.findings + _unmatched(table, known, role, path))
            new = [name for name in table.ids if name not in known]
            log = replace(log, **{knob: pa.concat_arrays([ids, pa.array(new, pa.string())])})
    return log, tables


def _unmatched(table: SideTable, known: set[str], role: str, path: str) -> list[Finding]:
    """Return findings on ids that only the log or only the side table holds.

    Raises:
        UserError: they have none in common.
    """
    knob, name = ROLES[role], Path(path).name
    lacking, foreign = len(known - set(table.ids)), len(set(table.ids) - known)
    if lacking == len(known):
        raise UserError(
            f"--{knob} {path} knows none of the log's {knob}; is its column of ids right? See --{role}-column"
        )
    told = {f"{lacking:,} {knob} of the log are not in {name}": lacking}
    told |= {f"{foreign:,} {knob} of {name} are not in the log": foreign}
    return [Finding("note", f"{knob}_table", said, count) for said, count in told.items() if count]


def _shuffled(log: Log, seed: int) -> Log:
    """Return the log with codes of items in an order drawn with the seed: by it ties between scores are broken."""
    order = np.random.default_rng((seed, 7)).permutation(len(log.items))
    code = np.empty(len(order), np.int32)
    code[order] = np.arange(len(order))
    return replace(log, items=log.items.take(pa.array(order)), item=code[log.item])


def _split(card: Data, reading: Reading, findings: list[Finding], tables: dict[str, SideTable]) -> LogInspection:
    log = reading.log
    sides, notes, rule = np.zeros(0, np.int8), [], "none"
    if len(log):
        shares = {"validation": card.validation, "test": card.test}
        wish = card.timeless if card.split_rule == "auto" and log.time is None else card.split_rule
        sides, notes, rule = split(log, wish, shares, card.seed)
    if card.splits:
        sides, said = inherited(log, sides, Run.open(card.splits, finished=False).splits)
        notes = [said, *notes]
    table = cases(log, sides)
    prints = [digest(*row) for row in zip(table["id"].to_pylist(), table["target"].to_pylist(), strict=True)]
    alone = np.arange(table.num_rows)
    counts = _counts(log, sides)
    findings = [*findings, *_findings(reading, counts, rule)]
    findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.grade))
    protocol = {"min_user": card.min_user, "min_item": card.min_item} | counts
    return LogInspection(
        table=table,
        listed=reading.listed,
        quarantined=reading.quarantined,
        facts=[None] * table.num_rows,
        fingerprints=prints,
        same=Duplicates(alone, alone, ()),
        findings=findings,
        log=log,
        sides=sides,
        rule=rule,
        notes=notes,
        read=reading.listed - len(reading.quarantined),
        protocol=protocol,
        tables=tables,
    )


def _counts(log: Log, sides: np.ndarray) -> dict[str, int]:
    """Return how many users, items and interactions there are, and what stands in the test alone."""
    found = {"users": len(np.unique(log.user)), "items": len(np.unique(log.item))}
    found |= {f"interactions_{name}": int((sides == side).sum()) for side, name in enumerate(NAMES)}
    for name, codes in (("users", log.user), ("items", log.item)):
        before = np.isin(codes[sides == TEST], codes[sides < TEST])
        found[f"{name}_only_in_test"] = len(np.unique(codes[sides == TEST][~before]))
        unlearnt = ~np.isin(codes[sides == VALIDATION], codes[sides == TRAIN])
        found[f"{name}_only_in_validation"] = len(np.unique(codes[sides == VALIDATION][unlearnt]))
    return found


def _findings(reading: Reading, counts: dict[str, int], rule: str) -> list[Finding]:
    log, found = reading.log, []
    shape = f"{len(log):,} interactions of {counts['users']:,} users with {counts['items']:,} items"
    found.append(Finding("note", "log", shape, len(log)))
    if reading.time_said:
        found.append(Finding("note", "time", f"times were read as {reading.time_said}{_span(log)}", len(log)))
    if reading.repeated:
        said = f"{reading.repeated:,} interactions repeat one of the same user and item; the first in time is kept"
        found.append(Finding("note", "repeated", said, reading.repeated))
    if reading.filtered:
        said = f"{reading.filtered:,} interactions were left out by --min-user and --min-item"
        found.append(Finding("note", "filtered", said, reading.filtered))
    single = int((np.bincount(log.user, minlength=len(log.users)) == 1).sum())
    if single:
        found.append(Finding("note", "single", f"{single:,} users have one interaction", single))
    for name in ("users", "items"):
        count = counts[f"{name}_only_in_test"]
        if count:
            said = f"{count:,} {name} stand in the test alone ({rule}); they can't be learnt, and count in the scores"
            found.append(Finding("note", f"{name}_only_in_test", said, count))
    return found


def _span(log: Log) -> str:
    if log.time is None or not len(log):
        return ""
    days = [np.datetime64(int(edge), "s") for edge in (log.time.min(), log.time.max())]
    return f": {days[0].astype(str)[:10]} to {days[1].astype(str)[:10]}"
