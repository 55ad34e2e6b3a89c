"""How the detectors of pictures are fitted: each looks at the training pictures batch by batch and keeps what is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from horngate.models.anomaly.padim import padim
from horngate.models.anomaly.patch_core import coreset, patch_core
from horngate.models.anomaly.reconstruction import PictureLoss, autoencoder, reconstructor
from horngate.models.backbones.pictures import BackboneError, picture_backbone
from horngate.models.training.learning import Plan, learn
from horngate.models.training.optimizer import adamw
from horngate.models.vision.patches import NoMaps, patch_encoder
from horngate.pipelines.data.reading import ReadRows
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.detector import HISTORY
from horngate.pipelines.tasks.legacy import LegacyParts
from horngate.pipelines.training.transfer import told

CANDIDATES = 1 << 28  # bytes of patches that the coreset is chosen from; drawn evenly from all pictures
SHARE = 0.01  # of all patches that PatchCore keeps, where the card doesn't say how many
FEWEST, MOST = 1_000, 10_000  # kept patches, likewise
CHANNELS = 100  # that PaDiM looks at, as in the paper for a small backbone
LATENT = 64  # channels of the autoencoder at its narrowest point
EPOCHS, BATCH, RATE = 40, 16, 1e-3  # of the autoencoder
AT_ONCE = 8  # pictures per forward pass
NEIGHBOUR = 5  # whose distance the reference goes by
MOST_FITTED = 2_000  # thumbnails that the reference keeps
SIDE = 128  # pixels, of pictures that an autoencoder sees, where the card doesn't say


class Pictures:
    """Rows whose target is the picture itself.

    Args:
        rows: labelled rows, whose targets aren't looked at.
    """

    def __init__(self, rows: ReadRows):
        self.rows, self.count = rows, rows.count

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        pixels, _, _ = self.rows.batch(rows, None)
        return pixels, pixels, None


@dataclass
class PictureFitting:
    """What one training fits a detector on; the gradient phase is resumable, the others repeat in one pass.

    Attributes:
        task: the pipeline, which reads.
        train, held: listed rows to learn from, and usual ones of validation.
        history: rows of history.csv so far, with these `columns`.
    """

    task: Any
    run: Run
    train: pa.Table
    held: pa.Table
    columns: list[str] = field(default_factory=lambda: HISTORY)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def card(self) -> Any:
        return self.task.card

    def encoder(self) -> keras.Model:
        """Return the model from pixels to patches.

        Raises:
            UserError: the backbone can't be had, or has no maps that fit.
        """
        card = self.card
        try:
            found = picture_backbone(pretrained.found(card.backbone), card.weights, card.image_size, card.alpha, SIDE)
            return patch_encoder(*found[:3], int(card.finest))
        except (BackboneError, NoMaps) as problem:
            raise UserError(str(problem)) from None

    def patch_core(self, encoder: keras.Model) -> tuple[keras.Model, dict[str, Any]]:
        """Return PatchCore on this encoder, and what the protocol says of it."""
        _, height, width, channels = encoder.output_shape
        places = height * width
        room = max(CANDIDATES // (4 * channels), 1)
        pictures = min(self.train.num_rows, room)
        each = min(max(room // pictures, 1), places)
        draw = np.random.default_rng((self.card.seed, 1))
        chosen = np.sort(draw.permutation(self.train.num_rows)[:pictures])
        kept = np.empty((pictures, each, channels), np.float32)
        done = 0
        for patches in self._patches(encoder, self.train.take(pa.array(chosen))):
            for one in patches.reshape(len(patches), places, channels):
                kept[done] = one[draw.permutation(places)[:each]]
                done += 1
        candidates = kept.reshape(-1, channels)
        wished = self.card.memory or int(np.clip(SHARE * self.train.num_rows * places, FEWEST, MOST))
        progress.detail(f"choosing {min(wished, len(candidates)):,} of {len(candidates):,} patches")
        core = coreset(candidates, wished, self.card.seed)
        said = {
            "kept_patches": len(core),
            "candidate_patches": len(candidates),
            "patches": self.train.num_rows * places,
        }
        return patch_core(encoder, candidates[core]), said

    def padim(self, encoder: keras.Model) -> tuple[keras.Model, dict[str, Any]]:
        """Return PaDiM on this encoder, and what the protocol says of it."""
        model = padim(encoder, self._patches(encoder, self.train), CHANNELS, self.card.seed)
        return model, {"channels": min(CHANNELS, encoder.output_shape[-1])}

    def autoencoder(self, size: int) -> tuple[keras.Model, dict[str, Any]]:
        """Return an autoencoder of pictures of that side, learnt by gradient, and what the protocol says of it."""
        card = self.card
        keras.utils.set_random_seed(card.seed)
        network = reconstructor(size, LATENT)
        rows, held = (Pictures(self._rows(table)) for table in (self.train, self.held))
        plan = Plan("autoencoder", card.epochs or EPOCHS, card.batch_size or BATCH, card.seed)
        steps = plan.epochs * plan.steps(rows.count)
        loss = PictureLoss(card.error)
        network.compile(optimizer=adamw(card.learning_rate or RATE, steps, 0.05, 1e-4), loss=loss)
        with told(self, at_least=0.0) as keeper:
            self.history += learn(network, rows, held, plan, keeper)
        return autoencoder(network, card.error), {"error": card.error}

    def _rows(self, table: pa.Table) -> ReadRows:
        return ReadRows(LegacyParts(self.task), table, np.zeros((table.num_rows, 1), np.float32))

    def _patches(self, encoder: keras.Model, table: pa.Table) -> Iterator[np.ndarray]:
        """Yield patches float32 `[n, h, w, c]` of all rows, in their order."""
        with progress.job("patches of the training pictures", table.num_rows) as done:
            for places, pixels in self._rows(table).in_turn(AT_ONCE):
                yield np.asarray(encoder.predict_on_batch(pixels))[: len(places)]
                done(len(places))


def chosen_detector(card: Any) -> tuple[str, str]:
    """Return the name of the method that fits a detector, and why it is that one.

    Raises:
        UserError: a detector that looks through a backbone, and none is named.
    """
    named = card.backbone not in (None, "small")
    pretrained = named and card.weights != "none"
    if card.detector == "auto":
        if not pretrained:
            progress.notice("no pretrained weights: an autoencoder learns from the pictures alone; see --backbone")
        return ("patch_core", "pretrained weights") if pretrained else ("autoencoder", "no pretrained weights")
    if card.detector != "autoencoder" and not named:
        raise UserError(f"--detector {card.detector} looks through a --backbone; name one, or use autoencoder")
    if card.detector != "autoencoder" and not pretrained:
        progress.notice(f"no pretrained weights: {card.backbone} looks with random ones")
    return card.detector.replace("patchcore", "patch_core"), "asked for"


def distances_of_thumbnails(
    thumbnails: np.ndarray, train: np.ndarray, rows: dict[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Return the distance of some pictures to the fifth nearest training picture, by thumbnails uint8 `[n, 32, 32]`.

    Args:
        train: places of the training pictures; at most 2,000 of them are kept.
        rows: places of those to score, by split; a split without any is left out.
    """
    from sklearn.neighbors import NearestNeighbors

    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32) / 255
    kept = np.random.default_rng(seed).permutation(train)[:MOST_FITTED]
    model = NearestNeighbors(n_neighbors=min(NEIGHBOUR, len(kept))).fit(flat[kept])
    return {name: model.kneighbors(flat[own])[0][:, -1] for name, own in rows.items() if len(own)}
