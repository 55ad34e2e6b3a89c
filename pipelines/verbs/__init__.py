"""The verbs, one module each; the modules bring TensorFlow along, so they are imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from horngate.pipelines.verbs import doctor, presets

__all__ = ["doctor", "presets"]


def __getattr__(name: str):
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
