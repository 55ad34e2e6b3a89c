"""What a ranking task says of its rows: scores, whose they are, how often these were seen, and how good the scores are."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.sources.tables import free_name
from horngate.pipelines.metrics import scoring
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.recommendation.rank import plots as drawn
from horngate.pipelines.recommendation.rank.target_encoder import Aim
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.statistics.intervals import numbered
from horngate.pipelines.tables.columns import is_gap, text_in

TOP = 20  # rows with the highest losses, and users
LEAST_ROWS = 5  # of a user among the worst
FEW = range(2, 13)  # categories of a column that rows are sliced by
MOST_SLICED = 6  # columns
STEPS = ((0, "unseen"), (9, "1–9"), (49, "10–49"), (199, "50–199"))


class Scored:
    """A part of a ranking pipeline; the whole has `aim`, `schema`, `columns`, `labelled` and `whole_cells`.

    The output of the core model is float32 `[n, 1]`, the score.
    """

    aim: Aim
    card: Any
    schema: dict[str, Any]
    labelled: bool
    mistakes_title = "Farthest off"
    mistakes_said = "rows with the highest losses"

    # Whose rows are these?

    def user_of(self, cells: dict[str, Any]) -> str | None:
        """Return the user of a row; None where there is no column of users, or nothing in it."""
        cell = cells.get(self.schema["roles"]["user"])
        return None if is_gap(cell) else text_in(cell)

    def strangers(self, cells: dict[str, Any]) -> list[str]:
        """Return the roles (`user`, `item`) whose id in a row no training row has."""
        return [role for role, rows in self._times(cells).items() if rows == 0]

    def _times(self, cells: dict[str, Any]) -> dict[str, int]:
        """Return how many training rows have a row's user, and how many its item."""
        found = {}
        for role, name in self.schema["roles"].items():
            column = next((column for column in self.columns if column["name"] == name), None)
            if column is not None and "categories" in column:
                found[role] = self._counts(column).get(text_in(cells.get(name)), 0)
        return found

    def _counts(self, column: dict[str, Any]) -> dict[str, int]:
        kept = self.__dict__.setdefault("_counted", {})
        if column["name"] not in kept:
            kept[column["name"]] = dict(zip(column["categories"], column["counts"], strict=True))
        return kept[column["name"]]

    @property
    def slicing(self) -> tuple[str, ...]:
        return tuple(name for name in self.measured_schema().names if name != "user")

    def _sliced(self) -> list[str]:
        """Return the columns of few categories that rows are sliced by."""
        names = [
            column["name"]
            for column in self.columns
            if column["type"] == "category" and len(column["categories"]) in FEW
        ]
        return [name for name in names if name not in self.schema["roles"].values()][:MOST_SLICED]

    # What is said of rows?

    def answer_schema(self) -> pa.Schema:
        return pa.schema([("score", pa.float32())])

    def measured_schema(self) -> pa.Schema:
        roles = self.schema["roles"]
        names = ["user", "user_activity"] if roles["user"] else []
        names += ["item_popularity"] if roles["item"] else []
        names += ["unseen"] if any(roles.values()) else []
        return pa.schema(
            [(name, pa.string()) for name in [*names, *(free_name(name, self.card) for name in self._sliced())]]
        )

    def rows(self, outputs: np.ndarray) -> dict[str, Any]:
        return {"score": outputs[:, 0].astype(np.float32)}

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, Any]:
        said = self.rows(outputs)
        if not self.labelled:
            return said
        more: dict[str, list] = {name: [] for name in self.measured_schema().names}
        sliced = self._sliced()
        for data in inputs_of(listed):
            cells = self.whole_cells(data)
            times = self._times(cells)
            facts = {"user": self.user_of(cells), "user_activity": _step(times.get("user"))}
            facts["item_popularity"] = _step(times.get("item"))
            facts["unseen"] = ", ".join(role for role, rows in times.items() if rows == 0) or "nothing"
            facts |= {
                free_name(name, self.card): None if is_gap(cells.get(name)) else text_in(cells[name]) for name in sliced
            }
            for name, values in more.items():
                values.append(facts[name])
        return said | more

    # How good is it?

    def outcome(self, answers: pa.Table) -> Outcome:
        targets = self.aim.encode(answers["target"].to_pylist(), answers["id"].to_pylist())
        users = numbered(answers["user"].to_pylist()) if self.schema["roles"]["user"] else None
        return Outcome(answers["score"].to_numpy().astype(np.float64), targets, users, self.aim.clicks)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Outcome:
        users = None if outputs.shape[1] < 2 or np.isnan(outputs[:, 1]).any() else outputs[:, 1].astype(np.int64)
        return Outcome(outputs[:, 0].astype(np.float64), self.aim.encode(targets), users, self.aim.clicks)

    def guess(self, outcome: Outcome) -> Outcome:
        """Say of every row the mean target of the training rows: the prevalence of clicks, or the mean rating."""
        return Outcome(np.full(len(outcome), self.aim.mean), outcome.targets, outcome.users, outcome.clicks)

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return scoring.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.aim.kind,
            "mean_target": float(outcome.targets.mean()),
            "mean_score": float(outcome.scores.mean()),
            "reliability": scoring.reliability(outcome),
            "mistakes": self._farthest(answers, outcome),
        }
        if outcome.users is not None:
            found |= self._of_users(answers, outcome)
        if "unseen" in answers.column_names:
            values, counts = np.unique(answers["unseen"].to_pylist(), return_counts=True)
            found["unseen"] = {str(name): int(count) for name, count in zip(values, counts, strict=True)}
        return found

    def _of_users(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        """Return how many users there are, how many of them have rows of one class, and the worst."""
        first = dict(zip(outcome.users.tolist(), answers["user"].to_pylist(), strict=True))
        loss = "log loss" if outcome.clicks else "mean squared error"
        worst = scoring.worst_users(outcome, LEAST_ROWS, TOP)
        rows = [[first[user], count, value, mean] for user, count, value, mean in worst]
        table = {
            "title": "Worst users",
            "said": f"Users with {LEAST_ROWS} rows or more whose {loss} is highest.",
            "columns": ["user", "rows", loss, "mean target"],
            "rows": rows,
        }
        found = {"users": int(outcome.units.max()) + 1, "tables": [table] if rows else []}
        if outcome.clicks:
            found["users_of_one_class"] = int(np.isnan(scoring.areas(outcome)[0]).sum())
        return found

    def _farthest(self, answers: pa.Table, outcome: Outcome) -> list[dict[str, Any]]:
        order = np.argsort(-scoring.losses_of(outcome), kind="stable")[:TOP]
        rows = answers.select(["id", "target", "score"]).take(pa.array(order)).to_pylist()
        return [row | {"label": "score"} for row in rows]

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.outcome(answers))

    def model_card(self) -> dict[str, str]:
        if self.aim.clicks:
            said = (
                f"The probability of {self.aim.names[1]}, for rows shown as those of the training were. Who was shown "
            )
            said += "what was somebody's choice; scores of what was never shown to such users are a guess."
        else:
            said = (
                f"The rating to expect, {self.aim.low:g} to {self.aim.high:g}. People rate what they chose; the rating "
            )
            said += "that they would give to what they left out is likely to be lower."
        return {"Answers": said} | super().model_card()

    def label_names(self, target: str | None) -> list[str] | None:
        return None if not self.aim.clicks else [] if target is None else [target]

    def unlike(self, other: Any) -> str | None:
        if (self.aim.kind, self.aim.names) != (other.aim.kind, other.aim.names):
            return f"one was trained on {self.aim.said} and the other on {other.aim.said}"
        return None


def _step(rows: int | None) -> str | None:
    """Return in words how often an id was seen."""
    if rows is None:
        return None
    return next((name for most, name in STEPS if rows <= most), "200 and more")
