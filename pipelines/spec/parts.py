"""Where the parts of a task are: names of classes, imported when a verb asks for them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """The seven parts of a task by the places of their classes below `horngate.pipelines`, such as `images.reader.Reader`.

    The protocols that they follow are in `pipelines/tasks/parts.py`.

    Attributes:
        exporter: None for a task whose model can't be exported.
        unexportable: why, in one sentence.
    """

    rows: str
    reader: str
    learner: str
    predictor: str
    evaluator: str
    display: str
    exporter: str | None = None
    unexportable: str | None = None
