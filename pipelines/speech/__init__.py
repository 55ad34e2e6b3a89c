"""Speech: cards of its tasks. What they share is in this folder: sound files of any kind become samples at one rate.

`sounds.sound_of` is the one door for samples, `facts` and `concerns` say what is wrong with recordings, `door` reads the
layouts that speech comes in.
"""

from dataclasses import dataclass, replace
from typing import Literal

from horngate.pipelines.spec.card import (
    ClassWeighted,
    Decision,
    Optimisation,
    Option,
    Pretrained,
    Refitted,
    ThroughTensorFlow,
    knob,
)
from horngate.pipelines.speech.audio.knobs import Sounds


@dataclass(frozen=True, kw_only=True)
class Keywords(Decision, Refitted, ClassWeighted, Optimisation, Sounds):
    """Sort short sounds into classes: spoken commands, digits, speakers, moods."""

    rows = replace(
        Sounds.rows,
        roles={
            "input": ("input", "path", "audio", "file", "filename"),
            "target": ("target", "label", "class", "labels", "keyword", "word"),
        },
        belonging=("noises",),
    )
    check_knobs = (*Decision.check_knobs, *Sounds.check_knobs, "window")
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
    noises: str | None = knob(
        None, "Folder of recordings of background noise to mix in while learning, beside noise between white and brown."
    )
    views: int = knob(1, "Random views of each training clip that a probe hears beside the plain one.", low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class Transcribe(Pretrained, ThroughTensorFlow, Sounds):
    """Write down what is said in recordings, short or long, with times; learn it from recordings with transcripts."""

    rows = replace(
        Sounds.rows,
        roles={
            "input": ("input", "path", "audio", "file", "filename"),
            "target": ("target", "text", "transcript", "transcription", "sentence"),
        },
        beside=("target",),
        catalogued={**Sounds.rows.catalogued, "target": "Text"},
        belonging=("words", "ngram_text"),
    )
    check_knobs = (*Sounds.check_knobs, "normaliser", "units")
    retired = {"class_weights": "none"}
    writes = ("text", "confidence", "segments", "seconds_heard", "seconds_computed", "recording_length")
    families = ("MoonshineAudioToText",)
    metrics = ("wer", "cer", "sentence_error_rate", "real_time_factor")
    recipes = {
        "tiny": {"data": "sample:spoken-phrases", "epochs": 1, "batch_size": 16, "width": 16, "depth": 1},
        "spoken-phrases": {"data": "sample:spoken-phrases"},
        "thorough": {"network": "conformer", "width": 144, "depth": 8, "decoding": "beam", "ngram": 3},
    }
    options = {
        "evaluate": {
            "decoding": Option(str, "How texts are found: greedy or beam; default: as the run was trained with."),
            "beam": Option(int, "Beginnings of texts that a beam search keeps.", 1, 1000),
        },
        "predict": {
            "decoding": Option(str, "How texts are found: greedy or beam; default: as the run was trained with."),
            "beam": Option(int, "Beginnings of texts that a beam search keeps.", 1, 1000),
            "srt": Option(str, "Folder to write SubRip subtitles to, one file for each recording."),
            "vtt": Option(str, "Folder to write WebVTT subtitles to, one file for each recording."),
        },
    }

    target_column: str | None = knob(
        None, "Column of transcripts; default: target, text, transcript, transcription or sentence."
    )
    method: Literal["auto", "untuned", "finetune", "scratch"] = knob(
        "auto",
        "How to learn: scratch trains a CTC network; finetune goes on with a --backbone (Moonshine), untuned takes it as it "
        "is. auto: scratch without a backbone, else finetune where that is surely better.",
    )
    normaliser: Literal["plain", "none"] = knob(
        "plain", "How texts are made alike before they are learnt and compared: lower case without punctuation, or not."
    )
    units: Literal["auto", "characters", "words"] = knob(
        "auto", "What a CTC network spells in; auto: words where there are few and each is frequent."
    )
    network: Literal["convolution", "recurrent", "conformer"] = knob("convolution", "What follows the log-mel spectra.")
    width: int = knob(96, "Channels of a CTC network.", low=8, high=1024)
    depth: int = knob(4, "Blocks of a CTC network.", low=1, high=32)
    window: float = knob(30.0, "Seconds that the model hears at once; longer recordings are cut.", low=2.0, high=60.0)
    augment: Literal["none", "light", "strong"] = knob(
        "light", "Random views while learning: faster or slower, louder or softer, in noise, with masked spectra."
    )
    decoding: Literal["greedy", "beam"] = knob(
        "greedy", "How a CTC network's texts are found; beam is needed for a word list or n-grams."
    )
    beam: int = knob(16, "Beginnings of texts that a beam search keeps.", low=1, high=1000)
    words: str | None = knob(None, "Text file of the words that may be answered, one on a line; needs beam.")
    ngram: int = knob(
        0, "Words that n-grams look at, learnt from the training transcripts; 0 for none; needs beam.", low=0, high=5
    )
    ngram_text: str | None = knob(None, "Text file of further sentences for the n-grams, one on a line.")
    ngram_weight: float | None = knob(
        None, "Weight of the n-grams against the sound; default: chosen on validation rows.", low=0.0, high=10.0
    )
