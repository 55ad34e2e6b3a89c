"""The peak memory of segmenting one volume of 512 × 512 pixels with ever more planes: it should stay flat.

    python benchmarks/segment_memory.py [PLANES ...]

Trains a small U-Net on the made-up sample, writes volumes of random values (compressed NIfTI, 16 bit), and predicts each
in a process of its own with its mask written. Results are merged into benchmarks/results/segment_memory.json.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import keep, peak_of

SIDE = 512  # pixels
KNOBS = ("--recipe", "tiny", "--image-size", "256")


def volume(path: Path, planes: int) -> None:
    """Write a volume of one random plane, shifted from plane to plane."""
    import nibabel

    plane = np.random.default_rng(0).integers(-1000, 1000, (SIDE, SIDE)).astype(np.int16)
    stack = np.stack([np.roll(plane, number, 0) for number in range(planes)], -1)
    nibabel.Nifti1Image(stack, np.diag([-0.7, -0.7, 2.0, 1.0])).to_filename(path)


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [20, 100, 300]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [
            sys.executable,
            "-m",
            "horngate.cli",
            "medical",
            "segment",
            "train",
            *KNOBS,
            "-o",
            str(folder / "runs"),
        ]
        run = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        found = {}
        for planes in counts:
            path = folder / f"{planes}.nii.gz"
            volume(path, planes)
            started = time.monotonic()
            out = ["-o", str(folder / f"{planes}.jsonl"), "--masks-to", str(folder / "masks")]
            peak = peak_of("predict", run, str(path), *out)
            found[f"{planes} planes"] = {"peak_mb": round(peak), "seconds": round(time.monotonic() - started, 1)}
            path.unlink()
        keep("segment_memory", "512 x 512", found)


if __name__ == "__main__":
    main()
