"""Where presets of pretrained backbones are kept on this machine."""

import os
from pathlib import Path

from horngate.pipelines.system import offline
from horngate.pipelines.system.files import home


def folder() -> Path:
    """Return where presets are kept: `$HORNGATE_PRESETS`, else `presets` in horngate's own folder."""
    return Path(os.environ.get("HORNGATE_PRESETS") or home() / "presets")


def found(name: str | None) -> str | None:
    """Return the folder of a preset that is kept here, else the name as it is; every task asks before it builds.

    Raises:
        Forbidden: the network is forbidden, and the name is an address that leads there.
    """
    if name is None or Path(name).is_dir():
        return name
    place = kept_at(name)
    if (place / "config.json").is_file():
        return str(place)
    offline.refuse_remote(name)
    return name


def kept_at(name: str) -> Path:
    """Return the folder that a preset of this name has, or would have."""
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name).strip(".")
    return folder() / (plain or "_")
