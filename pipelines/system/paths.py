"""Where horngate keeps what outlives runs on this machine: keys, presets."""

import os
from pathlib import Path

from platformdirs import user_data_path


def folder() -> Path:
    """Return `$HORNGATE_HOME`, else the platform's data folder of this user."""
    return Path(os.environ.get("HORNGATE_HOME") or user_data_path("horngate"))
