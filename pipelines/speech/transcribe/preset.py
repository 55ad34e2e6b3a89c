"""Which model a card of transcription asks for, and Moonshine presets: how they are found, and kept in a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained

if TYPE_CHECKING:
    from horngate.models.speech.moonshine import Moonshine

RATE = 16_000  # samples per second that Moonshine hears
DECODING = "token by token, the likeliest each time"
UNEXPORTABLE = "Moonshine writes a text token by token, which an exported forward pass alone doesn't do"
OF_NETWORKS = ("words", "ngram", "ngram_text", "ngram_weight")


def model_of(card: Any) -> str:
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


def rate_of(card: Any) -> int:
    """Return the rate that Moonshine hears.

    Raises:
        UserError: another one is asked for.
    """
    if card.rate not in (None, RATE):
        raise UserError(f"Moonshine hears {RATE:,} samples per second: leave --rate out. Received: {card.rate}")
    return RATE


def opened(card: Any) -> "Moonshine":
    """Return the Moonshine model that a card names.

    Raises:
        UserError: it isn't at hand, or weights are asked for that it can't have.
    """
    from horngate.models.backbones.pictures import BackboneError
    from horngate.models.speech.moonshine import Moonshine

    if card.weights not in ("imagenet", "none"):
        raise UserError(f"a preset brings its own weights: leave --weights out, or say none. Received: {card.weights}")
    try:
        return Moonshine.of_preset(pretrained.found(card.backbone), card.weights != "none")
    except BackboneError as problem:
        raise UserError(str(problem)) from None


def kept(backbone: Any, tokenizer: Path) -> "Moonshine":
    """Return the Moonshine model of a run.

    Raises:
        UserError: its files are missing or damaged.
    """
    from horngate.models.speech.moonshine import Moonshine
    from horngate.models.trust import Untrusted

    try:
        return Moonshine.opened(backbone, tokenizer)
    except Untrusted as problem:
        raise UserError(str(problem)) from None
