"""What detectors say in any domain: a score, its p-value, and whether that raises an alarm."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted
from horngate.pipelines.tasks.predictor import ModelPredictor

FILES = ("alarms.json",)
REASONS = 5  # columns
REASON = pa.list_(pa.struct([("column", pa.string()), ("contribution", pa.float32())]))


class AnomalyPredictor(ModelPredictor):
    """Answers by the core's outputs float32 `[n, 1 + …]`: the score, then what a task makes its reasons of.

    A task adds `outputs`, and its own columns.

    Attributes:
        choosing: options of `evaluate` that choose a threshold.
    """

    choosing: tuple[str, ...] = ("contamination", "false_alarm_rate")

    def outputs(self, table: pa.Table, label: str) -> np.ndarray:
        """Return the core's outputs for listed rows that can be read, float32 `[n, 1 + …]`.

        Args:
            label: what progress calls it.
        """
        raise TypeError(f"{type(self).__name__} should say its outputs")

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("score", pa.float32()),
            AnswerColumn("p_value", pa.float32()),
            AnswerColumn("anomalous", pa.bool_()),
        )

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        alarms, scores = self.fitted.decisions, np.asarray(outputs)[:, 0].astype(np.float32)
        return {
            "score": scores,
            "p_value": alarms.p_values(scores).astype(np.float32),
            "anomalous": alarms.raised(scores),
        }

    def decided(self, scores: np.ndarray, truth: np.ndarray, rows: pa.Table, card: Any, unseen: bool) -> Alarms:
        """Return the alarms with p-values and threshold chosen on validation rows.

        Args:
            scores, truth: of the rows; float `[n]`, and float32 `[n]` as of `Alarms.encode`.
            rows: the same rows as listed, or as answered.
            card: with the wishes that hold.
            unseen: whether the detector hasn't learnt from these rows.
        """
        return self.fitted.decisions.decided(scores, truth, card, unseen)

    def load_state(self, folder: Path) -> Fitted:
        alarms = Alarms.read(folder / "alarms.json")
        return Fitted(read_json(folder / "schema.json"), decisions=alarms, files=FILES)

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        wishes = {name: options.get(name) for name in self.choosing}
        named = {"positive": options["positive"]} if options.get("positive") else {}
        alarms = self.fitted.decisions
        if named and alarms.knows:
            raise UserError("the run knows which targets are anomalies from its training rows; leave --positive out")
        if all(value is None for value in wishes.values()):
            return self.fitted, named
        path = run / "evaluation" / "validation" / "answers.parquet"
        if not path.is_file():
            raise UserError(f"{run.folder} has no answers on validation rows to choose a threshold on")
        answers = read_table(path)
        answers = answers.filter(answers["error"].is_null())
        truth = alarms.encode(answers["target"].to_pylist())
        card = replace(self.card, **wishes)
        alarms = self.decided(answers["score"].to_numpy(), truth, answers, card, alarms.validation_only)
        changed = {"threshold": alarms.threshold, "threshold_chosen_by": alarms.chosen_by}
        return self.fitted.having(decisions=alarms), named | changed


def reasons(shares: np.ndarray, columns: list[str]) -> list[list[dict[str, Any]]]:
    """Return for each row the columns that made its score, in the form of `REASON`, the strongest first.

    Args:
        shares: float32 `[n, columns]`, what each column adds to the score.
    """
    best = np.argsort(-shares, axis=1, kind="stable")[:, :REASONS].tolist()
    return [
        [{"column": columns[place], "contribution": float(row[place])} for place in order if row[place] > 0]
        for order, row in zip(best, shares, strict=True)
    ]


class AnomalyRows(ListedRows):
    """Listed rows whose targets, where there are any, say which are anomalies."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        targets = table["target"].to_pylist()
        try:
            alarms = Alarms.named(targets, self.card)
        except UserError as problem:
            return [Finding("error", "which_target", str(problem), len(targets))]
        truth = alarms.encode(targets)
        if not len(truth) or np.isnan(truth).all():
            return [Finding("note", "unlabelled", "no row has a target; nothing can be measured", len(targets))]
        count = int((truth == 1).sum())
        share = float(count / (~np.isnan(truth)).sum())
        names = ", ".join(alarms.anomalous[:5]) or "none"
        said = f"{count} known anomalies ({names}), {share:.2%} of the labelled rows"
        found = [Finding("note", "prevalence", said, count)]
        if share > 0.5:
            message = f"{share:.0%} of the labelled rows count as anomalies; is --positive the right one?"
            found.append(Finding("warning", "mostly_anomalies", message, count))
        return found
