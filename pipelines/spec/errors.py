"""What can go wrong in a way that the user can mend."""

from difflib import get_close_matches


class UserError(Exception):
    """One line that says what happened and what to do; the command line prints it and exits with 1."""


class Unreadable(UserError):
    """One row that can't be used, with the reason: quarantined in training, an `error` row in prediction."""


def nearest(word: str, known) -> str:
    """Return ` Did you mean "x"?` for the known name nearest to `word`, or an empty string."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' Did you mean "{found[0]}"?' if found else ""
