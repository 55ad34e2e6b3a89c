"""Anomaly detection in any domain: who is learnt from, p-values, thresholds, measures, and what the page shows."""

import time
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json, read_table, write_rows
from horngate.pipelines.tasks.alarms import Alarms
from horngate.pipelines.tasks.judged import Judged
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow

if TYPE_CHECKING:
    import keras

HISTORY = ["phase", "epoch", "loss", "val_loss", "learning_rate"]
LEAST_ROWS = 5  # to learn from


class Detector(Judged, RowByRow):
    """What all detecting tasks share. A task adds how to inspect, settle, read, and `learn`, and its reasons.

    The output of the core model is float32 `[n, 1 + …]`: first the score, higher for stranger rows, then whatever the task
    makes its reasons of.

    Attributes:
        alarms: which targets are anomalies, held-out scores, threshold.
        answers: the Keras model.
    """

    handed_over = ("alarms.json",)
    choosing: tuple[str, ...] = ("contamination", "false_alarm_rate")  # options of `evaluate` that choose a threshold
    alarms: Alarms
    answers: "keras.Model"

    @abstractmethod
    def learn(self, table: pa.Table, places: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
        """Fit the detector, set `answers`, and return what else the summary should say.

        Args:
            table: all rows.
            places: rows by split; those of `train` are the ones to learn from, by the protocol. `anomalies` are those of
                the training rows that are known ones, whether they are among `train` or not.

        Returns:
            `method`, `why` it was chosen, and where they apply: `costs` (seconds by phase), `history` (rows of
            history.csv), `protocol` (more of it).
        """

    @abstractmethod
    def scored(self, table: pa.Table, label: str) -> np.ndarray:
        """Return the core's outputs for rows that can be read, float32 `[n, 1 + …]`.

        Args:
            label: what progress calls it.
        """

    def reasons(self, outputs: np.ndarray) -> dict[str, Any]:
        """Return the answer columns beside score, p-value and alarm, by name."""
        return {}

    def reason_fields(self) -> list[tuple[str, pa.DataType]]:
        """Return names and types of what `reasons` returns."""
        return []

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        targets = table["target"].to_pylist()
        self.alarms = self._named(targets)
        places = {name: np.flatnonzero(splits == name) for name in ("train", "validation", "test")}
        truth = self.alarms.encode(targets)
        places["anomalies"] = places["train"][truth[places["train"]] == 1]
        if self.card.protocol == "one-class":
            places["train"] = places["train"][truth[places["train"]] != 1]
        if len(places["train"]) < LEAST_ROWS:
            raise UserError(f"{len(places['train'])} rows to learn from are too few; at least {LEAST_ROWS} are needed")
        started = time.monotonic()
        with device.scope():
            found = self.learn(table, places, run)
            self._decide(table, places, truth)
        run.keep_model(self.answers)
        self.alarms.write(run / "alarms.json")
        write_rows(run / "history.csv", found.get("history", []), HISTORY)
        protocol = {
            "method": found["method"],
            "chosen_because": found["why"],
            "refit": False,
            "protocol": self.card.protocol,
            "learnt_rows": len(places["train"]),
            "left_out_anomalies": len(places["anomalies"]) if self.card.protocol == "one-class" else 0,
            "threshold": self.alarms.threshold,
            "threshold_chosen_by": self.alarms.chosen_by,
        }
        costs = found.get("costs") or {found["method"]: round(time.monotonic() - started, 1)}
        return {
            "method": found["method"],
            "costs_seconds": costs,
            "parameters": int(self.answers.count_params()),
            "protocol": protocol | found.get("protocol", {}),
        }

    def _named(self, targets: list[str | None]) -> Alarms:
        alarms = Alarms.named(targets, self.card)
        if alarms.knows:
            counts = [sum(target in names for target in targets) for names in (alarms.anomalous, alarms.normal)]
            sides = [", ".join(names[:5]) or "none" for names in (alarms.anomalous, alarms.normal)]
            progress.notice(f"anomalies: {sides[0]} ({counts[0]:,} rows); normal: {sides[1]} ({counts[1]:,} rows)")
        elif self.card.protocol == "one-class":
            progress.notice("no row has a target: all training rows are taken for normal")
        return alarms

    def _decide(self, table: pa.Table, places: dict[str, np.ndarray], truth: np.ndarray) -> None:
        """Choose p-values and threshold on validation rows, or for want of them on training rows, and say so."""
        rows, unseen = places["validation"], True
        if not (truth[rows] != 1).any():
            rows, unseen = places["train"], False
            progress.notice("no validation rows: p-values and threshold come from training rows, and are too hopeful")
        outputs = self.scored(table.take(pa.array(rows)), "scores on validation" if unseen else "scores on train")
        self.alarms = self.chosen(outputs[:, 0], truth[rows], table.take(pa.array(rows)), self.card, unseen)

    def chosen(self, scores: np.ndarray, truth: np.ndarray, rows: pa.Table, card: Any, unseen: bool) -> Alarms:
        """Return the alarms with p-values and threshold chosen on validation rows.

        Args:
            scores, truth: of the rows; float `[n]`, and float32 `[n]` as of `Alarms.encode`.
            rows: the same rows as listed, or as answered.
            card: with the wishes that hold.
            unseen: whether the detector hasn't learnt from these rows.
        """
        return self.alarms.decided(scores, truth, card, unseen)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        targets = table["target"].to_pylist()
        try:
            alarms = Alarms.named(targets, self.card)
        except UserError as problem:
            return [Finding("error", "which_target", str(problem), len(targets))]
        truth = alarms.encode(targets)
        if not len(truth) or np.isnan(truth).all():
            return [Finding("note", "unlabelled", "no row has a target; nothing can be measured", len(targets))]
        share = float((truth == 1).sum() / (~np.isnan(truth)).sum())
        names = ", ".join(alarms.anomalous[:5]) or "none"
        said = f"{int((truth == 1).sum())} known anomalies ({names}), {share:.2%} of the labelled rows"
        found = [Finding("note", "prevalence", said, int((truth == 1).sum()))]
        if share > 0.5:
            message = f"{share:.0%} of the labelled rows count as anomalies; is --positive the right one?"
            found.append(Finding("warning", "mostly_anomalies", message, int((truth == 1).sum())))
        return found

    def recall(self, folder: Path) -> None:
        self.alarms, self.schema = Alarms.read(folder / "alarms.json"), read_json(folder / "schema.json")

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)

    @property
    def core(self) -> "keras.Model":
        return self.answers

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        wishes = {name: options.get(name) for name in self.choosing}
        named = {"positive": options["positive"]} if options.get("positive") else {}
        if named and self.alarms.knows:
            raise UserError("the run knows which targets are anomalies from its training rows; leave --positive out")
        self.card = replace(self.card, **named)
        if all(value is None for value in wishes.values()):
            return named
        path = run / "evaluation" / "validation" / "answers.parquet"
        if not path.is_file():
            raise UserError(f"{run.folder} has no answers on validation rows to choose a threshold on")
        answers = read_table(path)
        answers = answers.filter(answers["error"].is_null())
        truth = self.alarms.encode(answers["target"].to_pylist())
        card = replace(self.card, **wishes)
        scores = answers["score"].to_numpy()
        self.alarms = self.chosen(scores, truth, answers, card, self.alarms.validation_only)
        return named | {"threshold": self.alarms.threshold, "threshold_chosen_by": self.alarms.chosen_by}

    # What does it say?

    def answer_schema(self) -> pa.Schema:
        fields = [("score", pa.float32()), ("p_value", pa.float32()), ("anomalous", pa.bool_())]
        return pa.schema([*fields, *self.reason_fields()])

    def rows(self, outputs: np.ndarray) -> dict[str, Any]:
        scores = outputs[:, 0].astype(np.float32)
        said = {"score": scores, "p_value": self.alarms.p_values(scores).astype(np.float32)}
        return said | {"anomalous": self.alarms.raised(scores)} | self.reasons(outputs)

    def saying(self) -> str:
        said = f'"alarm" if outputs[0] >= {self.alarms.threshold!r} else "no alarm"'
        return f'def answer(path, outputs):\n    return [{said}, f"{{outputs[0]:.4f}}"]\n'

    def label_names(self, target: str | None) -> list[str] | None:
        """Return the target; None under one-class, where later rows differ from the training rows by having anomalies."""
        if self.card.protocol == "one-class":
            return None
        return [] if target is None else [target]
