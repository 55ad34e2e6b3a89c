"""verify: prove a bundle again, on any machine that has its runtime."""

import os
from pathlib import Path

from horngate.pipelines.runs.bundle import Bundle
from horngate.pipelines.runtimes.golden import Parity, replayed
from horngate.pipelines.spec.errors import UserError


def verify(bundle: str | os.PathLike) -> Parity:
    """Check a bundle's files against their checksums and replay its golden rows with the format's own runtime.

    Raises:
        UserError: no bundle, a file that was changed, or answers beyond tolerance; the line says which.
    """
    bundle = Bundle(Path(bundle))
    if not (bundle / "bundle.json").is_file():
        raise UserError(f"{bundle.folder} is no bundle: it has no bundle.json")
    if broken := bundle.broken():
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise UserError(f"{bundle.folder} is not as it was exported: {broken[0]}{more}")
    parity = replayed(bundle)
    if parity.problems:
        raise UserError(f"{bundle.folder} doesn't answer as its run did: {parity.problems[0]}")
    return parity
