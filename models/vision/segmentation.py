"""The shape of every segmenter: pixels → encoder → decoder → scores of each pixel, in one saved file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
from keras import layers

from horngate.models.backbones.pictures import BackboneError, architectures, no_preset
from horngate.models.network import thaw
from horngate.models.trust import Untrusted, check_preset
from horngate.models.vision.overlap_loss import LabelledAccuracy, OverlapLoss
from horngate.models.vision.scaling import Levels, Scaling
from horngate.models.vision.unet import backbone_encoder, decoded, plain_encoder

COARSEST = 32  # pixels of a tile per place of the coarsest map: a tile's side is a multiple of it


@dataclass(frozen=True)
class SegmenterConfig:
    """What a segmenter is made for.

    Attributes:
        side: of a tile in pixels, a multiple of 32.
        channels: of a tile: 1 for grey, 3 for colour.
        dtype: of its pixels in 0…255: `uint8` or `float32`.
        classes: how many; the first is the background.
        width: channels at the finest scale of the plain U-Net.
        seed: of the random start.
    """

    side: int
    channels: int
    dtype: str
    classes: int
    width: int = 16
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.side, self.side, self.channels

    def levels(self, channels: int) -> Levels:
        """Return the first layer, whose output has `channels`."""
        return Levels(channels, name="levels")


@dataclass(frozen=True)
class Segmenter:
    """A segmenter and its parts, which share their weights.

    Attributes:
        answers: pixels → scores float32 `[n, s, s, classes]`, a softmax of each pixel; what is saved and used.
        logits: pixels → logits of the same shape; what is trained.
        encoder: pixels → maps; the model or layer whose weights may be pretrained.
    """

    answers: keras.Model
    logits: keras.Model
    monitor: ClassVar[str] = "val_loss"

    @property
    def encoder(self) -> keras.Model:
        return _encoder_of(self.answers)

    @classmethod
    def within(cls, answers: keras.Model) -> "Segmenter":
        """Return the parts of a saved segmenter."""
        return cls(answers, keras.Model(answers.input, answers.get_layer("scores").input, name="logits"))

    def features(self) -> keras.Model:
        """Return the model from pixels to features `[n, d]`: the mean of the encoder's coarsest map."""
        inputs = keras.Input(self.answers.input_shape[1:], dtype=self.answers.input.dtype, name="pixels")
        if any(layer.name == "encoder" for layer in self.answers.layers):
            maps = self.encoder(inputs)
        else:
            maps = self.encoder(self.answers.get_layer("scaling")(self.answers.get_layer("levels")(inputs)))
        maps = list(maps.values()) if isinstance(maps, dict) else maps
        coarsest = maps[-1] if isinstance(maps, list | tuple) else maps
        return keras.Model(inputs, layers.GlobalAveragePooling2D(dtype="float32")(coarsest))

    def freeze(self) -> None:
        """Keep the encoder as it is, batch normalisation included, while the rest learns."""
        self.encoder.trainable = False

    def thaw(self, norms: bool) -> None:
        """Make the encoder learn, its batch normalisation only where `norms`."""
        thaw(self.encoder, norms)

    def compile(self, optimizer: keras.optimizers.Optimizer, overlap: float, balance: list[float] | None) -> None:
        """Make the logits ready to learn from class numbers `[n, s, s]`."""
        self.logits.compile(optimizer=optimizer, loss=OverlapLoss(overlap, balance), metrics=[LabelledAccuracy()])


def _encoder_of(answers: keras.Model) -> keras.Model:
    names = [layer.name for layer in answers.layers]
    if "encoder" in names:
        return answers.get_layer("encoder")
    return answers.get_layer("segmenter").backbone


def plain(config: SegmenterConfig) -> Segmenter:
    """Return a U-Net from a random start."""
    keras.utils.set_random_seed(config.seed)
    encoder = plain_encoder(config.levels(config.channels), config.shape, config.dtype, config.width)
    return _around(encoder, config, config.width)


def on_backbone(config: SegmenterConfig, name: str, weights: str, alpha: float | None) -> Segmenter:
    """Return a U-Net whose encoder is a backbone of pictures.

    Args:
        name, weights, alpha: as of `picture_backbone`.

    Raises:
        BackboneError: it can't be had.
        NoMaps: it has no maps of several scales.
    """
    keras.utils.set_random_seed(config.seed)
    encoder = backbone_encoder(config.levels(3), config.shape, config.dtype, name, weights, alpha)
    return _around(encoder, config, None)


def _around(encoder: keras.Model, config: SegmenterConfig, width: int | None) -> Segmenter:
    maps = encoder(encoder.input)
    logits = layers.Conv2D(config.classes, 1, dtype="float32", name="head")(decoded(maps, config.side, width))
    return _scored(encoder.input, logits)


def _scored(inputs, logits) -> Segmenter:
    scores = layers.Softmax(name="scores", dtype="float32")(logits)
    return Segmenter(keras.Model(inputs, scores, name="answers"), keras.Model(inputs, logits, name="logits"))


def is_preset(name: str) -> bool:
    """Whether a name can only be a preset of KerasHub: a folder or a handle, and no architecture of Keras."""
    return name not in architectures()


def on_preset(config: SegmenterConfig, name: str, weights: str) -> Segmenter:
    """Return a segmenter of KerasHub (SegFormer, DeepLabV3) with a head for these classes.

    A preset that fixes the side of its input makes tiles of that side.

    Args:
        name: of the preset, or its folder.
        weights: `imagenet` for the preset's own, or `none`.

    Raises:
        BackboneError: no such preset at hand, or none that segments.
    """
    import keras_hub

    if weights not in ("imagenet", "none"):
        raise BackboneError(f"a preset brings its own weights: leave --weights out, or say none. Received: {weights}")
    keras.utils.set_random_seed(config.seed)
    try:
        if Path(name).is_dir():
            check_preset(Path(name))
        task = _task(keras_hub.models.ImageSegmenter, name, weights != "none", config)
        converter = keras_hub.layers.ImageConverter.from_preset(name)
    except Untrusted as problem:
        raise BackboneError(str(problem)) from None
    except Exception as problem:
        raise BackboneError(no_preset(name, problem)) from None
    task.name = "segmenter"
    side = task.input_shape[1] or config.side
    inputs = keras.Input((side, side, config.channels), dtype=config.dtype, name="pixels")
    scale, offset = (_three(value, usual) for value, usual in ((converter.scale, 1.0), (converter.offset, 0.0)))
    pixels = Scaling(scale, offset, name="scaling")(config.levels(3)(inputs))
    return _scored(inputs, layers.Activation("linear", dtype="float32", name="head")(task(pixels)))


def _task(segmenter: type, name: str, load_weights: bool, config: SegmenterConfig) -> keras.Model:
    """Return KerasHub's segmenter for this side of a tile, or, where the preset fixes its side, for that one."""
    wished = {"load_weights": load_weights, "num_classes": config.classes}
    try:
        shape = (config.side, config.side, 3)
        return segmenter.from_preset(name, image_shape=shape, **wished)
    except (TypeError, ValueError):  # a backbone whose side belongs to its encoder takes no shape
        return segmenter.from_preset(name, **wished)


def _three(value, usual: float) -> list[float]:
    if value is None:
        return [usual] * 3
    return [float(part) for part in value] if hasattr(value, "__len__") else [float(value)] * 3
