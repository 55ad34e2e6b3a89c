"""What a user can mend, from models up to the command line."""


class UserError(Exception):
    """One line that says what happened and what to do; the command line prints it and exits with 1."""
