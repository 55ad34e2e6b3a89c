"""Medical images into masks: which class each pixel is."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.images.statistics import looks_of
from horngate.pipelines.medical.scans import checks
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.medical.scans.reading import SUFFIXES
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.medical.scans.volumes import volume_of
from horngate.pipelines.medical.segment import mask_checks
from horngate.pipelines.medical.segment.answering import MEASURED, Answering, cases_of
from horngate.pipelines.medical.segment.class_maps import Classes
from horngate.pipelines.medical.segment.facts import Facts, facts_of
from horngate.pipelines.medical.segment.judging import Judging
from horngate.pipelines.medical.segment.views import View
from horngate.pipelines.metrics import segmentation
from horngate.pipelines.metrics.segmentation import Cases
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.block_by_block import BlockByBlock
from horngate.pipelines.tasks.listed import Listed

if TYPE_CHECKING:
    import keras

    from horngate.models.vision.segmentation import Segmenter

COARSEST, LARGEST = 32, 256  # pixels: a tile's side is a multiple of the first, and at most the second unless asked for
MARGIN = 8  # a tile's margin is its side over this
ADDED = ("spaced",)


class Pipeline(Answering, Judging, Listed, BlockByBlock):
    """`horngate medical segment`."""

    suffixes = (*SUFFIXES, "")
    batch_size = 8
    handed_over = ()
    caution = NO_DEVICE
    unexportable = "a mask is put together from overlapping tiles, which an exported model alone doesn't do"
    mistakes_title = "Worst cases"
    mistakes_said = "cases with the lowest Dice coefficients"
    heat_said = "the answer (in colours) inside the outline of the truth (white)"
    ranges = {"inputs": (0, 255), "outputs": (0, 1)}
    network: "Segmenter"

    def __init__(self, card: Any):
        super().__init__(card)
        window_named(card.window)  # says what is wrong with it before anything is read
        self.tolerance = card.tolerance
        self._average(card.tta)
        self.counts: dict[str, dict[int, int]] = {}

    # What is a row?

    def survey(self) -> Any:
        seen = super().survey()
        ids = seen.table["id"].to_pylist()
        self.counts = {name: fact.counts for name, fact in zip(ids, seen.facts, strict=True)}
        return seen

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Facts:
        return facts_of(data, beside[0] if beside else None, self.card.window)

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        found = checks.patient_findings(table)
        if not self.counts:
            return found
        counts = [self.counts[name] for name in table["id"].to_pylist()]
        classes = Classes.named(self.card.classes, self.card.background, counts)
        return found + mask_checks.unlearnt(classes, counts, splits)

    def input_findings(self, table: pa.Table, facts: list[Facts]) -> list[Finding]:
        sides = checks.flip_findings(set(mask_checks.names_of(self.card.classes)), self.card.flip)
        found = checks.image_findings(table, facts) + sides
        try:
            classes = Classes.named(self.card.classes, self.card.background, [fact.counts for fact in facts])
        except UserError as problem:
            return [Finding("error", "which_classes", str(problem), len(facts)), *found]
        given = table["split"].to_pylist()
        known = np.array(given, object) if "train" in given and None not in given else None
        found += mask_checks.unlearnt(classes, [fact.counts for fact in facts], known)
        return found + mask_checks.mask_findings(classes, facts, table["id"].to_pylist())

    def settle(self, facts: list[Facts]) -> None:
        self.classes = Classes.named(self.card.classes, self.card.background, [fact.counts for fact in facts])
        colour, deep = any(fact.colour for fact in facts), any(fact.deep for fact in facts)
        side = self.card.image_size or self._natural([min(fact.shape[1:]) for fact in facts])
        if side % COARSEST:
            raise UserError(f"--image-size should be a multiple of {COARSEST}. Received: {side}")
        self.schema = {
            "kind": "scan",
            "window": self.card.window,
            "channels": 3 if colour else 1,
            "dtype": "float32" if deep else "uint8",
            "size": side,
            "margin": side // MARGIN,
            "classes": self.classes.plain(),
        }

    @staticmethod
    def _natural(sides: list[int]) -> int:
        """Return the side of a tile for pictures of these smaller sides: it holds the usual one, if that isn't large."""
        return int(np.clip(-(-np.median(sides) // COARSEST) * COARSEST, COARSEST, LARGEST))

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return a tile from the middle of the middle plane, `[s, s, c]`: what stands for a row among others."""
        volume = volume_of(None, data).shown_by(window_named(self.schema["window"]))
        wanted = volume.shape[0] // 2
        pixels = next(pixels for place, pixels in volume.greys() if place == wanted)
        middle = (pixels.shape[0] // 2, pixels.shape[1] // 2)
        return self.typed(View().cut(pixels, np.zeros(pixels.shape[:2], np.uint8), middle, self.schema["size"])[0])

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        planes, height, width = volume_of(None, data).shape
        shape = {"width": float(width), "height": float(height)} | ({"planes": float(planes)} if planes > 1 else {})
        shown = np.clip(tensor, 0, 255).astype(np.uint8)
        return shape | looks_of(np.repeat(shown, 3, axis=-1) if shown.shape[-1] == 1 else shown)

    # How does it learn?

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone not in (None, "small") and self.card.weights != "none"

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.pipelines.medical.segment.learning import Learning

        with device.scope():
            self.network = self._built()
        self.schema["size"] = self.network.answers.input_shape[1]
        self.schema["margin"] = self.schema["size"] // MARGIN
        summary = Learning(self, table, splits, run, device).climb()
        names = ", ".join(self.classes.names)
        summary["protocol"] |= {
            "classes": f"{names}; the first is the background",
            "empty_masks": segmentation.RULE,
            "tolerance": self.tolerance,
            "poses": len(self.poses),
            "tiles": f"{self.schema['size']} pixels, {self.schema['margin']} of them overlapping at each side",
        }
        return summary | {"parameters": int(self.network.answers.count_params())}

    def _built(self) -> "Segmenter":
        from horngate.models.backbones.pictures import BackboneError
        from horngate.models.vision import segmentation
        from horngate.models.vision.patches import NoMaps

        card, schema = self.card, self.schema
        wishes = segmentation.Wishes(
            schema["size"], schema["channels"], schema["dtype"], len(self.classes), card.width, card.seed
        )
        if not self.pretrained:
            progress.notice(f"no pretrained weights: {card.backbone or 'a U-Net'} starts from random weights")
        if card.backbone in (None, "small"):
            return segmentation.plain(wishes)
        name = pretrained.found(card.backbone)
        try:
            if segmentation.is_preset(name):
                return segmentation.on_preset(wishes, name, card.weights)
            return segmentation.on_backbone(wishes, name, card.weights, card.alpha)
        except (BackboneError, NoMaps) as problem:
            raise UserError(str(problem)) from None

    def judged(self, table: pa.Table) -> Cases:
        """Return how the network, as it stands, answers labelled rows."""
        columns, places, _ = self.said(table, labelled=True) if table.num_rows else ({}, [], [])
        names = (*MEASURED.names, *ADDED)
        return cases_of([{name: columns[name][row] for name in names} for row in range(len(places))], len(self.classes))

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, Any]]:
        from horngate.pipelines.medical.segment.baselines import answers_of

        return answers_of(self, table, splits)

    # What does it say?

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        self.masks_to, changed = options.get("masks_to"), {}
        if options.get("tolerance") is not None:
            self.tolerance = changed["tolerance"] = options["tolerance"]
        if options.get("tta"):
            self._average(True)
            changed["poses"] = len(self.poses)
        return changed

    def _average(self, wished: bool) -> None:
        """Answer by the mean over the poses of a tile, if wished."""
        self.averaging = wished
        if wished and len(self.poses) == 1:
            raise UserError("--tta averages the poses that --flip and --turn name, and this card names none")

    def remarks(self) -> list[str]:
        return [] if self.masks_to else ["areas alone were written; --masks-to DIR writes the masks too"]

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        self.classes = Classes.of(self.schema["classes"])

    def load(self, run: Run) -> None:
        from horngate.models.vision.segmentation import Segmenter

        self.network = Segmenter.within(self.kept_model(run))
        if self.network.answers.output_shape[-1] != len(self.classes):
            raise UserError(f"{run / 'schema.json'} doesn't belong to {run / 'model.keras'}: another number of classes")

    @property
    def core(self) -> "keras.Model":
        return self.network.answers

    @cached_property
    def _encoded(self) -> "keras.Model":
        return self.network.features()

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self._encoded.predict_on_batch(batch))

    def answer_schema(self) -> pa.Schema:
        return pa.schema([("mask", pa.string()), ("area", pa.list_(pa.float64())), ("area_unit", pa.string())])

    def measured_schema(self) -> pa.Schema:
        return MEASURED

    def widened(self, answers: pa.Table) -> pa.Table:
        """Return answers with one column `area_<class>` per class instead of the list `area`."""
        place, areas = answers.column_names.index("area"), answers["area"].to_pylist()
        wide = answers.remove_column(place)
        for number, name in enumerate(self.classes.names):
            own = pa.array([None if one is None else one[number] for one in areas], pa.float64())
            wide = wide.add_column(place + number, f"area_{name}", own)
        return wide
