"""Where the computing happens: devices, arithmetic, seeds, and what makes a CPU run repeatable."""

import os
import platform
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress

PACKAGES = ("horngate", "tensorflow", "keras", "keras-hub", "numpy", "pyarrow", "scikit-learn", "pillow")
PACKAGES += ("ai-edge-litert", "onnxruntime")


@dataclass(frozen=True)
class Device:
    """What a job computes on.

    Attributes:
        name: for people, such as `2 CPU cores` or the GPU's name.
        gpus: how many GPUs are used.
        precision: the Keras dtype policy.
        strategy: a `tf.distribute` strategy over several devices, or None.
    """

    name: str
    gpus: int
    precision: str
    strategy: Any = None

    def scope(self):
        """Return the context in which models have to be built."""
        return nullcontext() if self.strategy is None else self.strategy.scope()


def set_up(wish: str = "auto", precision: str = "auto", seed: int = 0) -> Device:
    """Choose devices and arithmetic for this process, and fix the seeds. The first import of TensorFlow happens here.

    Raises:
        UserError: a GPU is asked for where TensorFlow sees none.
    """
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if wish == "gpu" and not gpus:
        raise UserError(
            "no GPU here that TensorFlow can use; leave --device out, or install horngate[cuda] with its driver"
        )
    gpus = [] if wish == "cpu" else gpus
    _configure(tf, gpus)
    keras.utils.set_random_seed(seed)
    policy = precision if precision != "auto" else _precision(tf, gpus)
    keras.config.set_dtype_policy(policy)
    strategy = tf.distribute.MirroredStrategy() if len(gpus) > 1 else None
    return Device(_name(tf, gpus), len(gpus), policy, strategy)


def environment(seed: int) -> dict[str, Any]:
    """Return what a run was made with: versions, machine, git commit of the working folder, seed."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git_commit": _git_commit(),
        "seed": seed,
    }


def peak_memory() -> int | None:
    """Return the most memory that this process has held so far, in bytes; None where the platform doesn't say."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _configure(tf, gpus: list) -> None:
    """Fix what TensorFlow only takes before its first operation."""
    try:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if not gpus:
            # Both are needed for equal weights from equal seeds on a CPU; neither costs time there.
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.experimental.enable_op_determinism()
    except RuntimeError:
        progress.detail("TensorFlow was in use before, so its devices and threads stay as they were")


def _precision(tf, gpus: list) -> str:
    """Return the mixed policy that all GPUs are made for: bfloat16 from capability 8.0, float16 from 7.0."""
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    if capabilities and min(capabilities) >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capabilities and min(capabilities) >= (7, 0) else "float32"


def _name(tf, gpus: list) -> str:
    if not gpus:
        return f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} CPU cores"
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return names[0] if len(names) == 1 else f"{len(names)} × {names[0]}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
