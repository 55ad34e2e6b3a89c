"""Speech: cards of its tasks. What they share is in this folder: sound files of any kind become samples at one rate.

`sounds.sound_of` is the one door for samples, `facts` and `concerns` say what is wrong with recordings, `door` reads the
layouts that speech comes in.
"""

from dataclasses import dataclass
from typing import Literal

from horngate.pipelines.card import Decision, Optimisation, Transfer, knob
from horngate.pipelines.speech.knobs import Sounds


@dataclass(frozen=True, kw_only=True)
class Keywords(Decision, Transfer, Optimisation, Sounds):
    """Sort short sounds into classes: spoken commands, digits, speakers, moods."""

    roles = {
        "input": ("input", "path", "audio", "file", "filename"),
        "target": ("target", "label", "class", "labels", "keyword", "word"),
    }
    looking = (*Decision.looking, *Sounds.looking, "window")
    families = ("MoonshineAudioToText", "WhisperBackbone")
    metrics = ("accuracy", "macro_f1", "log_loss", "ece", "eer")
    recipes = {
        "tiny": {"data": "sample:spoken-words", "epochs": 2},
        "spoken-words": {"data": "sample:spoken-words"},
        "quick": {"method": "probe", "augment": "light"},
        "thorough": {"epochs": 60},
    }

    target_column: str | None = knob(None, "Column of labels; default: target, label, class, keyword or word.")
    window: float | None = knob(
        None, "Seconds that the model hears at once; default: what nearly all clips have.", low=0.1, high=30.0
    )
    model: Literal["ds-tc-resnet", "transformer"] = knob(
        "ds-tc-resnet", "What learns from a random start: convolutions in time, under 100,000 parameters, or attention."
    )
    augment: Literal["none", "light", "strong"] = knob(
        "strong",
        "Random views while learning: moved, faster or slower, louder or softer, in noise, with masked spectra.",
    )
    views: int = knob(1, "Random views of each training clip that a probe hears beside the plain one.", low=1, high=64)
