"""Domain pipelines: every verb of every task, from Python as from the command line."""

from importlib import import_module
from typing import TYPE_CHECKING

from horngate.pipelines.system import offline

if TYPE_CHECKING:
    from horngate.pipelines.verbs.check import check
    from horngate.pipelines.verbs.compare import compare
    from horngate.pipelines.verbs.evaluate import evaluate
    from horngate.pipelines.verbs.export import export
    from horngate.pipelines.verbs.predict import predict
    from horngate.pipelines.verbs.train import train
    from horngate.pipelines.verbs.verify import verify

offline.obey()  # HORNGATE_OFFLINE holds from the first import on

__all__ = ["check", "compare", "evaluate", "export", "predict", "train", "verify"]


def __getattr__(name: str):
    # The verbs bring TensorFlow along, so they are imported when first used.
    if name in __all__:
        return getattr(import_module(f"{__name__}.verbs.{name}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
