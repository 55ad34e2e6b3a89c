"""Knobs that all medical tasks have; a file of its own, since every card in the domain's `__init__.py` is a task."""

from dataclasses import dataclass

from horngate.pipelines.spec.card import Data, knob
from horngate.pipelines.spec.rows import RowSpec


@dataclass(frozen=True, kw_only=True)
class Scans(Data):
    """Knobs of all tasks on medical images: how a file becomes greys, and which rows belong to one patient."""

    rows = RowSpec(private=True, unit="patient", loader="medical.scans.loader")
    families = ("keras.applications", "ImageClassifier")

    group_column: str | None = knob(
        None, "Column that names the patient; all of one patient stays on one side. Default: PatientID of DICOM files."
    )
    keep_column: tuple[str, ...] | None = knob(
        None, "Further column to carry into answers and slices; default: none, since it may tell who a patient is."
    )
    input_column: str | None = knob(None, "Column of image paths; default: input, path, image, file or filename.")
    window: str = knob(
        "file",
        "Values that become black and white: file (as the file says), none (all), lung, bone, brain, abdomen, mediastinum, "
        "or CENTRE,WIDTH.",
    )
