"""Backbones of pictures: architectures of `keras.applications`, KerasHub presets, and the small network."""

import difflib
import importlib
import inspect
import os
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import keras
from keras import layers

from horngate.models.errors import UserError
from horngate.models.trust import Untrusted, check_preset, check_weights
from horngate.models.vision.scaling import Scaling, scaling_like


class BackboneError(UserError, ValueError):
    """A backbone that can't be had; one line that says what to do."""


def picture_encoder(
    name: str | None,
    weights: str,
    size: int | None,
    alpha: float | None,
    small_size: int,
    pixels: tuple[int, str] = (3, "uint8"),
) -> keras.Model:
    """Return a model named `encoder` from pixels `[n, s, s, c]` in 0…255 to features `[n, d]`, its scaling inside.

    Grey pixels become three equal colours first, once, before the scaling that the backbone's own colours need.

    Args:
        name: an architecture in snake case, a KerasHub preset (name, handle or folder), or None for the small network.
        weights: `imagenet`, `none`, or a weights file made with `include_top=False`.
        size: side of the input in pixels, or None for what the backbone was made for.
        alpha: width multiplier, for the architectures that have one.
        small_size: the side for the small network, where `size` is None.
        pixels: how many channels they have, 1 for greys or 3 for RGB, and their dtype.

    Raises:
        BackboneError: unknown name, weights that are not at hand or don't fit, an `alpha` that means nothing.
    """
    backbone, scaling, side, token = picture_backbone(name, weights, size, alpha, small_size)
    channels, dtype = pixels
    inputs = keras.Input((side, side, channels), dtype=dtype, name="pixels")
    colours = inputs if channels == 3 else keras.layers.Concatenate(dtype=dtype, name="colours")([inputs] * 3)
    return keras.Model(inputs, _pooled(backbone(scaling(colours)), token), name="encoder")


def picture_backbone(
    name: str | None, weights: str, size: int | None, alpha: float | None, small_size: int
) -> tuple[keras.Model, Scaling, int, bool]:
    """Return what `picture_encoder` is made of: the backbone, the scaling before it, the side of its input in pixels,

    and whether its first token stands for the picture. Arguments and errors are those of `picture_encoder`.
    """
    if name is None or name == "small":
        side = size or small_size
        return small_network(side), Scaling([1 / 127.5] * 3, [-1.0] * 3, name="scaling"), side, False
    if name in architectures():
        return *_architecture(name, weights, size, alpha), False
    return _preset(name, weights, size)


def input_size(name: str | None, size: int | None, small_size: int) -> int:
    """Return the side in pixels that `picture_encoder` would use for a name of `keras.applications` or none."""
    if size is not None:
        return size
    if name in architectures():
        return _natural_size(architectures()[name][0])
    return small_size


@cache
def architectures() -> dict[str, tuple]:
    """Return the functions of `keras.applications` by snake-case name, each with its `preprocess_input`."""
    found = {}
    for word, function in vars(keras.applications).items():
        if callable(function) and word[:1].isupper():
            module = function.__module__.rsplit(".", 1)[-1]
            preprocess = importlib.import_module(f"keras.applications.{module}").preprocess_input
            found[_snake(word)] = (function, preprocess)
    return found


def _snake(word: str) -> str:
    """Return `mobilenet_v2` for `MobileNetV2`, `convnext_tiny` for `ConvNeXtTiny`, `resnet50` for `ResNet50`."""
    word = re.sub(r"(Mobile|Dense|Efficient|NAS|Res)Net", lambda match: match[0].capitalize(), word)
    word = word.replace("ConvNeXt", "Convnext").replace("NASnet", "Nasnet").replace("NASNet", "Nasnet")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()


def _natural_size(function) -> int:
    """Return the input side that an architecture's published weights were made for."""
    made_for = {"Xception": 299, "InceptionV3": 299, "InceptionResNetV2": 299, "NASNetLarge": 331}
    made_for |= {"EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300, "EfficientNetB4": 380}
    made_for |= {"EfficientNetB5": 456, "EfficientNetB6": 528, "EfficientNetB7": 600, "EfficientNetV2B1": 240}
    made_for |= {"EfficientNetV2B2": 260, "EfficientNetV2B3": 300, "EfficientNetV2S": 384}
    made_for |= {"EfficientNetV2M": 480, "EfficientNetV2L": 480}
    return made_for.get(function.__name__, 224)


def _architecture(name: str, weights: str, size: int | None, alpha: float | None):
    function, preprocess = architectures()[name]
    options = {} if alpha is None else {"alpha": alpha}
    if alpha is not None and "alpha" not in inspect.signature(function).parameters:
        raise BackboneError(f"{name} has no width multiplier; leave --alpha out")
    side = size or _natural_size(function)
    shape = {"include_top": False, "input_shape": (side, side, 3)}
    file = weights not in ("imagenet", "none")
    if file and not Path(weights).is_file():
        raise BackboneError(f"--weights should be imagenet, none or a file. Received: {weights}, which is no file")
    try:
        backbone = function(weights="imagenet" if weights == "imagenet" else None, **shape, **options)
    except Exception as problem:
        raise BackboneError(_not_at_hand(name, problem)) from None
    if file:
        _load(backbone, Path(weights), name, alpha)
    return backbone, scaling_like(preprocess), side


def _load(backbone: keras.Model, file: Path, name: str, alpha: float | None) -> None:
    try:
        check_weights(file)
        backbone.load_weights(file)
    except Untrusted as problem:
        raise BackboneError(str(problem)) from None
    except (ValueError, OSError, KeyError) as problem:
        why = " ".join(str(problem).split())[:160]
        wide = "" if alpha is None else f" with --alpha {alpha}"
        raise BackboneError(
            f"{file} doesn't fit {name}{wide} without its top: {why}. Check --backbone and --alpha"
        ) from None


def _not_at_hand(name: str, problem: Exception) -> str:
    text = " ".join(str(problem).split())
    address = re.search(r"https?://\S+", text)
    if address is None:
        return f"{name} can't be built: {text[:200]}"
    url = address[0].rstrip(":,.")
    place = weights_folder()
    return (
        f"the imagenet weights of {name} are not on this machine and can't be fetched: download {url} on one with a "
        f"network (or `horngate presets fetch {name}` and `pack` there, `unpack` here) and put it into {place}, or name the "
        f"file with --weights FILE; here already: {_here(place)}; or --weights none --method scratch"
    )


def weights_folder() -> Path:
    """Return where Keras keeps the weights of `keras.applications`: `models` in `$KERAS_HOME`, else in `~/.keras`."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")  # as Keras does
    return Path(os.environ.get("KERAS_HOME") or home / ".keras") / "models"


def _here(place: Path) -> str:
    files = sorted(path.name for path in place.glob("*.h5")) if place.is_dir() else []
    return ", ".join(files) or "no weights"


def _preset(name: str, weights: str, size: int | None):
    """Return a KerasHub backbone, its scaling, its input side, and whether its first token stands for the picture."""
    import keras_hub

    if weights not in ("imagenet", "none"):
        raise BackboneError(f"a preset brings its own weights: leave --weights out, or say none. Received: {weights}")
    try:
        if Path(name).is_dir():
            check_preset(Path(name))
        shape = {} if size is None else {"image_shape": (size, size, 3)}
        backbone = keras_hub.models.Backbone.from_preset(name, load_weights=weights != "none", **shape)
        converter = keras_hub.layers.ImageConverter.from_preset(name)
    except Untrusted as problem:
        raise BackboneError(str(problem)) from None
    except Exception as problem:
        raise BackboneError(no_preset(name, problem)) from None
    if len(backbone.output_shape) not in (3, 4) if not isinstance(backbone.output_shape, dict) else True:
        raise BackboneError(f"{name} is no backbone for whole pictures; choose one made for image classification")
    side = backbone.input_shape[1] or size or converter.image_size[0]
    scale, offset = (_three(value, default) for value, default in ((converter.scale, 1.0), (converter.offset, 0.0)))
    return backbone, Scaling(scale, offset, name="scaling"), side, _has_token(keras_hub.models, type(backbone))


def _three(value, default: float) -> list[float]:
    if value is None:
        return [default] * 3
    return [float(part) for part in value] if hasattr(value, "__len__") else [float(value)] * 3


def _has_token(models: ModuleType, backbone: type) -> bool:
    """Whether KerasHub's own classifier of this backbone reads the first token."""
    for cls in vars(models).values():
        if inspect.isclass(cls) and getattr(cls, "backbone_cls", None) is backbone:
            pooling = inspect.signature(cls.__init__).parameters.get("pooling")
            if pooling is not None:
                return pooling.default == "token"
    return False


def no_preset(name: str, problem: Exception) -> str:
    """Return the line that says why a name leads to no preset of KerasHub, and what to do."""
    close = difflib.get_close_matches(name, architectures(), n=1, cutoff=0.6)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    why = " ".join(str(problem).split())[:160]
    return (
        f"no backbone {name} at hand.{hint} It is no architecture of keras.applications, no preset folder, and KerasHub "
        f"can't fetch it ({why}). Without a network: `horngate presets fetch {name}` and `pack` it elsewhere, `unpack` "
        f"it here; or give the folder of a preset"
    )


def _pooled(maps, token: bool):
    if len(maps.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(maps)
    if token:
        return keras.layers.Activation("linear", name="pool", dtype="float32")(maps[:, 0])
    return keras.layers.GlobalAveragePooling1D(name="pool", dtype="float32")(maps)


def small_network(size: int, width: int = 32) -> keras.Model:
    """Return a network from scaled pixels float `[n, size, size, 3]` to maps `[n, h, w, c]`, h between 4 and 8.

    It is learnt from a random start where there are no pretrained weights. Residual blocks after He et al. 2016
    (arXiv 1603.05027), two convolutions each, halving the side per stage.
    """
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    side, channels = size, width
    while side > 7 or channels == width:
        x = _small_block(x, channels, strides=2)
        side, channels = -(-side // 2), min(channels * 2, 8 * width)
    x = _small_block(x, channels, strides=1)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Activation("relu")(x), name="small")


def _small_block(x, channels: int, strides: int):
    y = layers.Activation("relu")(layers.BatchNormalization()(x))
    if strides > 1 or x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, strides=strides, padding="same", use_bias=False)(y)
    y = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(y)
    y = layers.Activation("relu")(layers.BatchNormalization()(y))
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
    return layers.Add()([x, y])
