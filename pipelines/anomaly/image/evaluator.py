"""How good alarms for pictures are, kind of defect by kind, and how well their maps show where the defects are."""

from typing import Any

import pyarrow as pa

from horngate.pipelines.anomaly.image import localization
from horngate.pipelines.anomaly.image.localization import Mapped
from horngate.pipelines.metrics.anomaly import detection, pixels
from horngate.pipelines.tasks.anomaly_detection.evaluator import AnomalyEvaluator


class PictureEvaluator(AnomalyEvaluator):
    """Measures scores and alarms of pictures, and maps against masks as far as there are any."""

    def outcome(self, answers: pa.Table) -> Mapped:
        plain = self.plain(answers)
        counts = localization.counted(answers, plain.targets, self.fitted.schema)
        return Mapped(plain.scores, plain.targets, plain.chosen, *counts)

    def trivial(self, outcome: detection.Outcome) -> detection.Outcome:
        guessed = detection.by_chance(outcome)
        counts = getattr(outcome, "pixels", None)
        return guessed if counts is None else Mapped(guessed.scores, guessed.targets, guessed.chosen, counts.levelled())

    def metrics(self, outcome: detection.Outcome) -> dict[str, tuple[Any, Any]]:
        counts = getattr(outcome, "pixels", None)
        found = detection.measures(outcome, ("auroc", "average_precision"))
        return found | ({} if counts is None else pixels.measures(counts))

    def details(self, answers: pa.Table, outcome: Mapped) -> dict[str, Any]:
        found = super().details(answers, outcome) | {"defects": localization.by_defect(answers, outcome)}
        if outcome.pixels is not None and outcome.pixels.regions.any():
            found["pixels"] = outcome.masks | {"curve": pixels.overlap_curve(outcome.pixels)}
        elif outcome.masks.get("left_out"):
            found["pixels"] = outcome.masks
        return found

    def cases(self, answers: pa.Table) -> list[dict[str, Any]]:
        """Return the strangest pictures, the worst false alarms and the most surely missed anomalies."""
        truth = self.alarms.encode(answers["target"].to_pylist())
        chosen = localization.cases(answers["score"].to_numpy(), truth, self.alarms.threshold)
        rows = answers.select(["id", "target", "score", "p_value", "anomalous"])
        pairs = zip(rows.take(pa.array(list(chosen))).to_pylist(), chosen.values(), strict=True)
        return [row | {"label": f"{said}, p {row['p_value']:.3g}"} for row, said in pairs]
