"""Opening saved models without running what a stranger put into them."""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import keras

from horngate import models
from horngate.models.trust import Untrusted, modules_of


def open_model(path: Path) -> keras.Model:
    """Load a `.keras` file in safe mode: only classes of keras, keras_hub, keras_rs and horngate, no Lambda.

    Raises:
        Untrusted: damaged, of another format, or with a class from elsewhere.
    """
    named = modules_of(path)
    for package in ("keras_hub", "keras_rs"):
        if any(module.startswith(package) for module in named):
            import_module(package)  # registers its classes
    _register()
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as problem:  # Keras raises whatever a broken file makes it raise
        raise Untrusted(f"{path} can't be opened: {' '.join(str(problem).split())[:300]}") from None


@cache
def _register() -> None:
    """Import every module of models, so that the classes of saved models are known by their registered names."""
    for module in walk_packages(models.__path__, f"{models.__name__}."):
        import_module(module.name)
