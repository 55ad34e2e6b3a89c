"""Packages that only some data needs: an extra of horngate brings them, and they are imported when first used."""

from importlib import import_module
from typing import Any

from horngate.pipelines.spec.errors import UserError


def needed(module: str, purpose: str, extra: str) -> Any:
    """Return a module of a package that an extra brings.

    Args:
        purpose: what needs it, as the start of a sentence.

    Raises:
        UserError: the package isn't installed; names the extra.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(f"{purpose} needs {package}: install horngate[{extra}]") from None
