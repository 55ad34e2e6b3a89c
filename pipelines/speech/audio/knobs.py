"""Knobs that all speech tasks have; a file of its own, since every card in the domain's `__init__.py` is a task."""

from dataclasses import dataclass

from horngate.pipelines.spec.card import Data, knob
from horngate.pipelines.spec.rows import RowSpec

LOWEST, HIGHEST = 2000, 384_000  # Hz: rates that a header can mean


@dataclass(frozen=True, kw_only=True)
class Sounds(Data):
    """Knobs of all tasks on recorded speech: which rate they are brought to, and whose voice it is."""

    rows = RowSpec(unit="speaker", loader="speech.audio.loader", catalogued={"input": "Audio"})
    check_knobs = ("rate",)

    group_column: str | None = knob(
        None, "Column that names the speaker; all of one speaker stays on one side of a split."
    )
    input_column: str | None = knob(None, "Column of sound files; default: input, path, audio, file or filename.")
    rate: int | None = knob(
        None, "Samples per second that the model sees; default: what most rows have.", low=LOWEST, high=48_000
    )
