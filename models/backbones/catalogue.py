"""What pretrained backbones the libraries know, which of them are on this machine, and how they come here."""

import re
from pathlib import Path
from typing import Any

from horngate.models.backbones.licences import licence_of_weights
from horngate.models.backbones.pictures import (
    BackboneError,
    architectures,
    input_size,
    no_preset,
    picture_encoder,
    weights_folder,
)

ARCHITECTURES = "keras.applications"  # the family of these; every other one is named by a task class of KerasHub
TERMS = "not stated by the library; see {}"


def known(families: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the backbones of some families: name, input_size (pixels), parameters, licence, source, here.

    Args:
        families: `keras.applications`, or task classes of KerasHub such as `ImageClassifier`, whose presets count.
    """
    found = {}
    for family in families:
        for row in _architectures() if family == ARCHITECTURES else _presets(family):
            found.setdefault(row["name"], row)
    return list(found.values())


def weights_here(name: str) -> list[Path]:
    """Return the weights files (made without the top) of an architecture that Keras has kept on this machine."""
    files = sorted(weights_folder().glob("*.h5")) if weights_folder().is_dir() else []
    return [path for path in files if _architecture_of(path.name) == name and "notop" in _squashed(path.name)]


def fetch(name: str, target: Path, alpha: float | None, size: int | None) -> list[Path]:
    """Bring a backbone to this machine and return where it lies: weights files of Keras, or a preset folder at `target`.

    Raises:
        BackboneError: the library can't find or fetch it.
    """
    if name in architectures():
        before = {path: path.stat().st_mtime_ns for path in weights_here(name)}
        picture_encoder(name, "imagenet", size, alpha, 32)
        after = weights_here(name)
        return [path for path in after if before.get(path) != path.stat().st_mtime_ns] or after or [weights_folder()]
    return [_saved(name, target)]


def _saved(name: str, target: Path) -> Path:
    """Save a preset of KerasHub, with all that its preprocessing needs, as a folder."""
    import keras_hub

    try:
        keras_hub.models.Backbone.from_preset(name).save_to_preset(target)
    except Exception as problem:  # KerasHub raises whatever its transports raise
        raise BackboneError(no_preset(name, problem)) from None
    layers = keras_hub.layers
    # Moonshine's tokenizer is found through its preprocessor alone.
    heard = keras_hub.models.MoonshineAudioToTextPreprocessor
    for part in (layers.ImageConverter, layers.AudioConverter, keras_hub.tokenizers.Tokenizer, heard):
        try:
            part.from_preset(name).save_to_preset(target)
        except (ValueError, FileNotFoundError):
            continue  # this backbone has no such part
    return target


def _architectures() -> list[dict[str, Any]]:
    rows = []
    for name in sorted(architectures()):
        facts = {"name": name, "input_size": input_size(name, None, 0), "parameters": None}
        licence = licence_of_weights(name) or TERMS.format("https://keras.io/api/applications")
        facts |= {"licence": licence, "source": ARCHITECTURES}
        rows.append(facts | {"here": bool(weights_here(name))})
    return rows


def _presets(family: str) -> list[dict[str, Any]]:
    import keras_hub

    rows = []
    for name, facts in getattr(keras_hub.models, family).presets.items():
        told, handle = facts.get("metadata", {}), facts["kaggle_handle"]
        side = re.search(r"(\d{3}) ?x ?\d{3}|(?<=resolution of )\d{3}", told.get("description", ""))
        model = "/".join(handle.removeprefix("kaggle://").split("/")[:2])
        licence = told.get("license") or TERMS.format(f"https://www.kaggle.com/models/{model}")
        row = {"name": name, "input_size": int(re.match(r"\d+", side[0])[0]) if side else None}
        row |= {"parameters": told.get("params"), "licence": licence, "source": "KerasHub"}
        rows.append(row | {"here": _cached(handle)})
    return rows


def _cached(handle: str) -> bool:
    """Whether kagglehub keeps the weights of a preset."""
    from kagglehub.config import get_cache_folder

    place = Path(get_cache_folder(), "models", *handle.removeprefix("kaggle://").split("/"))
    return place.is_dir() and any(place.glob("model*.weights.h5"))


def _architecture_of(file: str) -> str | None:
    """Return the architecture with the longest name that a file's name holds: resnet50v2 is no resnet50."""
    names = [name for name in architectures() if _squashed(name) in _squashed(file)]
    return max(names, key=lambda name: len(_squashed(name)), default=None)


def _squashed(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum())
