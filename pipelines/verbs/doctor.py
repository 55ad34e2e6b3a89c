"""doctor: what this machine has."""

import os
from typing import Any

from horngate.pipelines.system import cache, device, offline, pretrained


def doctor() -> dict[str, Any]:
    """Return versions, devices, arithmetic, cache and data folder, as plain values."""
    machine = device.set_up()
    facts = device.environment(seed=0)
    kept = cache.info()
    data = os.environ.get("HORNGATE_DATA")
    return {
        "python": f"{facts['python']} on {facts['platform']}",
        **{name: number or "not installed" for name, number in facts["packages"].items()},
        "device": machine.name,
        "gpus": machine.gpus,
        "precision": machine.precision,
        "cache": f"{kept['folder']} ({kept['files']} files, {kept['bytes'] / 1e9:.2f} of {kept['limit'] / 1e9:.0f} GB)",
        "network": "forbidden (--offline or HORNGATE_OFFLINE)"
        if offline.forbidden()
        else "used where a name asks for it",
        "presets": str(pretrained.folder()),
        "HORNGATE_DATA": data or "not set (only tests and benchmarks use it)",
        "TFDS_DATA_DIR": os.environ.get("TFDS_DATA_DIR", "not set (tensorflow-datasets uses ~/tensorflow_datasets)"),
    }
