"""How the detectors of pictures are fitted: each looks at the training pictures batch by batch and keeps what is bounded."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from horngate.models.anomaly.padim import padim
from horngate.models.anomaly.patch_core import coreset, patch_core
from horngate.models.anomaly.reconstruction import PictureLoss, autoencoder, reconstructor
from horngate.models.backbones.pictures import picture_backbone
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.models.vision.patches import patch_encoder
from horngate.pipelines.anomaly.image.reader import SIDE
from horngate.pipelines.runs.run import Run
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner
from horngate.pipelines.training.rows import ReadRows

CANDIDATES = 1 << 28  # bytes of patches that the coreset is chosen from; drawn evenly from all pictures
SHARE = 0.01  # of all patches that PatchCore keeps, where the card doesn't say how many
FEWEST, MOST = 1_000, 10_000  # kept patches, likewise
CHANNELS = 100  # that PaDiM looks at, as in the paper for a small backbone
LATENT = 64  # channels of the autoencoder at its narrowest point
EPOCHS, BATCH, RATE = 40, 16, 1e-3  # of the autoencoder
AT_ONCE = 8  # pictures per forward pass


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


class PictureTraining(PhaseRunner):
    """One training of a detector of pictures; its gradient phase is resumable, the others repeat in one pass.

    Args:
        train, held: listed rows to learn from, and usual ones of validation.
    """

    def __init__(self, task: Task, run: Run, train: pa.Table, held: pa.Table):
        super().__init__(task, run)
        self.train, self.held = train, held

    def fitted(self, detector: str) -> tuple[keras.Model, dict[str, Any]]:
        """Return a detector by the name of its method, and what the protocol says of it."""
        if detector == "autoencoder":
            return self.autoencoder(self.task.fitted.schema["size"])
        encoder = self.encoder()
        self.task = self.task.with_fitted(self.task.fitted.having(schema={"size": encoder.input_shape[1]}))
        return {"patch_core": self.patch_core, "padim": self.padim}[detector](encoder)

    def encoder(self) -> keras.Model:
        """Return the model from pixels to patches.

        Raises:
            UserError: the backbone can't be had, or has no maps that fit.
        """
        card = self.card
        found = picture_backbone(pretrained.found(card.backbone), card.weights, card.image_size, card.alpha, SIDE)
        return patch_encoder(*found[:3], int(card.finest))

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
        self.learn_phase(network, rows, held, plan)
        return autoencoder(network, card.error), {"error": card.error}

    def _rows(self, table: pa.Table) -> ReadRows:
        return ReadRows(self.task.reader, table, np.zeros((table.num_rows, 1), np.float32))

    def _patches(self, encoder: keras.Model, table: pa.Table) -> Iterator[np.ndarray]:
        """Yield patches float32 `[n, h, w, c]` of all rows, in their order."""
        with progress.job("patches of the training pictures", table.num_rows) as done:
            for places, pixels in self._rows(table).in_turn(AT_ONCE):
                yield np.asarray(encoder.predict_on_batch(pixels))[: len(places)]
                done(len(places))
