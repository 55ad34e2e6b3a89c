"""How recordings and their transcripts are read, and by which kind of model a card asks to hear them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio.checks import common_rate
from horngate.pipelines.speech.audio.decoding import sound_of
from horngate.pipelines.speech.transcribe.recordings import Spoken, heard_at, looked_at, spoken_of, together
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted

RATE = 16_000  # samples per second that Moonshine hears
OF_NETWORKS = ("words", "ngram", "ngram_text", "ngram_weight")


class RecordingReader(TensorReader):
    """Reads the first seconds of a recording, at most a window, as samples float32 `[samples]`.

    They stand for it where recordings are compared; what is transcribed is all of it.
    """

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Spoken:
        return spoken_of(data, suffix, beside[0] if beside else None, self.card.normaliser)

    def fit_schema(self, facts: list[Spoken]) -> Fitted:
        model = _model_of(self.card)
        rate = _rate_of(self.card) if model == "moonshine" else self.card.rate or common_rate(facts)
        return Fitted({"kind": "speech", "model": model, "rate": rate, "window": self.card.window})

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return heard_at(data, self.schema["rate"])[: int(self.schema["window"] * self.schema["rate"])]

    def collate(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        return together(tensors, self.schema["rate"], rows)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        fact = looked_at(sound_of(data, float("inf")))
        level = 20 * float(np.log10(max(fact.level, 1e-6)))
        rate, highest = float(fact.rate), float(fact.highest)
        return {"seconds": fact.seconds, "rate": rate, "level": level, "highest frequency": highest}


def _model_of(card: Any) -> str:
    """Return `ctc` or `moonshine`.

    Raises:
        UserError: knobs that don't go together.
    """
    if card.backbone is None:
        if card.method in ("untuned", "finetune"):
            raise UserError(f"--method {card.method} needs a Moonshine preset: name its folder with --backbone")
        return "ctc"
    if card.method == "scratch":
        raise UserError("--method scratch trains a CTC network from random weights: leave --backbone out")
    given = [name for name in OF_NETWORKS if getattr(card, name)] + (["decoding"] if card.decoding != "greedy" else [])
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{flags} is for CTC networks, whose frames a search can weigh: leave it or --backbone out")
    return "moonshine"


def _rate_of(card: Any) -> int:
    """Return the rate that Moonshine hears.

    Raises:
        UserError: another one is asked for.
    """
    if card.rate not in (None, RATE):
        raise UserError(f"Moonshine hears {RATE:,} samples per second: leave --rate out. Received: {card.rate}")
    return RATE
