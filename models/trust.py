"""What may be opened: model files, presets and weights that name no code of strangers. Imports no Keras."""

import json
import zipfile
from pathlib import Path

from horngate.models.errors import UserError

TRUSTED = {"keras", "keras_hub", "keras_rs", "horngate", "builtins"}


class Untrusted(UserError, ValueError):
    """A model file that isn't opened; one line that says why."""


def modules_of(path: Path) -> set[str]:
    """Return the modules of all classes that a `.keras` file's configuration names.

    Raises:
        Untrusted: damaged, of another format, or with a class from elsewhere.
    """
    modules = _modules(path)
    strange = sorted(module for module in modules if module.split(".")[0] not in TRUSTED)
    if strange:
        raise Untrusted(f"{path} is not opened: it wants code from {', '.join(strange)}")
    return modules


def check_preset(folder: Path) -> None:
    """Look through the configurations of a preset folder before KerasHub opens it.

    Raises:
        Untrusted: a class from elsewhere, a Lambda, or a configuration that is no JSON.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            modules = set(_named(json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, RecursionError):
            raise Untrusted(f"{path} is damaged: it holds no valid JSON") from None
        strange = sorted(module for module in modules if module.split(".")[0] not in TRUSTED)
        if strange:
            raise Untrusted(f"{folder} is not opened: {path.name} wants code from {', '.join(strange)}")


def check_weights(path: Path) -> None:
    """Refuse a whole model where weights are asked for.

    Raises:
        Untrusted: the file holds a model's configuration, or is no HDF5 file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            whole = "model_config" in file.attrs
    except OSError as problem:
        raise Untrusted(f"{path} is no weights file ({' '.join(str(problem).split())[:100]})") from None
    if whole:
        raise Untrusted(f"{path} is a whole model, not weights; save its weights with `model.save_weights`")


def _modules(path: Path) -> set[str]:
    """Return the modules of all classes that the file's configuration names."""
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
            if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
                raise Untrusted(f"{path} is not opened: it holds a file that would land outside its folder")
            damaged = opened.testzip()
            if damaged:
                raise Untrusted(f"{path} is damaged: {damaged} doesn't match its checksum")
            config = json.loads(opened.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        if isinstance(problem, Untrusted):
            raise
        raise Untrusted(f"{path} is no .keras file, or damaged ({' '.join(str(problem).split())[:100]})") from None
    return set(_named(config))


def _named(config):
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda" or config.get("class_name") == "__lambda__":
            yield "a Lambda (code inside the file)"
        module = config.get("module")
        registered = config.get("registered_name")
        if isinstance(module, str) and "class_name" in config:
            yield module
        elif isinstance(registered, str) and ">" in registered:
            yield registered.split(">")[0]
        for value in config.values():
            yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)
