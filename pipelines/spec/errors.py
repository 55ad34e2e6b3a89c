"""What can go wrong in a way that the user can mend."""

from importlib import import_module
from typing import Any

from horngate.models.errors import UserError

__all__ = ["Unreadable", "UserError", "nearest"]


class Unreadable(UserError):
    """One row that can't be used, with the reason: quarantined in training, an `error` row in prediction."""


def nearest(word: str, known) -> str:
    """Return ` Did you mean "x"?` for the known name nearest to `word`, or an empty string."""
    from difflib import get_close_matches  # which help does without

    found = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' Did you mean "{found[0]}"?' if found else ""


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
