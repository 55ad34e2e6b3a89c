"""`horngate recommendation sequence similar-items`."""

from horngate.cli.recommendation.retrieve import commands  # noqa: F401 - the same verb
