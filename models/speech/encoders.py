"""Encoders of speech from KerasHub presets: Moonshine hears samples, Whisper log-mel spectra; both 16,000 times a second."""

from pathlib import Path

import keras
from keras import layers

from horngate.models.backbones.pictures import BackboneError
from horngate.models.speech.spectra import AllHeard, WhisperMel
from horngate.models.trust import Untrusted, check_preset

PRESETS = "a Whisper or Moonshine preset of KerasHub"


def speech_encoder(name: str, samples: int, weights: bool = True) -> keras.Model:
    """Return a model named `encoder` from samples float32 `[n, samples]` at 16,000 Hz to features float32 `[n, d]`.

    Args:
        name: a preset folder, or the name of a preset that is at hand.
        weights: whether the preset's weights are taken.

    Raises:
        BackboneError: no such preset, or one that hears nothing.
    """
    backbone = _backbone(name, weights)
    inputs = keras.Input((samples,), dtype="float32", name="samples")
    entries = backbone.input
    if "encoder_features" in entries:
        heard = WhisperMel(entries["encoder_features"].shape[-1], name="log_mel")(inputs)
        inner = keras.Model(entries["encoder_features"], backbone.output["encoder_sequence_output"], name="whisper")
        steps = inner(heard)
    else:
        wanted = [entries["encoder_input_values"], entries["encoder_padding_mask"]]
        inner = keras.Model(wanted, backbone.output["encoder_sequence_output"], name="moonshine")
        steps = inner([layers.Reshape((samples, 1))(inputs), AllHeard(name="all_heard")(inputs)])
    features = layers.GlobalAveragePooling1D(name="pool", dtype="float32")(steps)
    return keras.Model(inputs, features, name="encoder")


def _backbone(name: str, weights: bool) -> keras.Model:
    import keras_hub

    try:
        if Path(name).is_dir():
            check_preset(Path(name))
        backbone = keras_hub.models.Backbone.from_preset(name, load_weights=weights)
    except Untrusted as problem:
        raise BackboneError(str(problem)) from None
    except Exception as problem:  # KerasHub raises what its sources do
        why = " ".join(str(problem).split())[:160]
        raise BackboneError(
            f"no backbone {name} at hand: it should be {PRESETS}, by its folder or its name ({why})"
        ) from None
    if not isinstance(backbone, keras_hub.models.WhisperBackbone | keras_hub.models.MoonshineBackbone):
        raise BackboneError(f"{name} is a {type(backbone).__name__}; choose {PRESETS}")
    return backbone
