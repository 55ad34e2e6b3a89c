"""Which runtime computes: Keras, or LiteRT where that is proven faster and equal on the run's own rows.

The verdict is written into the run, and every later command obeys it, so that what is resumed never mixes runtimes.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content
from horngate.pipelines.runtimes import Runtime
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import cache, progress
from horngate.pipelines.system.files import read_json, write_json
from horngate.pipelines.tasks.parts import Reader, tensors_of

WORTH = 8.0  # seconds of Keras's time on all rows from which on a conversion (2 s and more) and a race repay themselves
TOLERANCE = 1e-4  # of outputs, relative to the largest one where that exceeds 1
FASTER = 1.2  # times, for a change to be worth it
RACED = 64  # rows
COUNTED = 4096  # rows of a listing, or
HELD = 64 << 20  # bytes of it, that are looked at before a longer one counts as LONGER times as long
LONGER = 4


@dataclass(frozen=True)
class Verdict:
    """How a race ended: the runtime's name, and where LiteRT was tried, its speed as a multiple of Keras's and parity."""

    name: str
    speedup: float | None = None
    max_abs_difference: float | None = None
    why: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the verdict as JSON has it, without what isn't known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Track:
    """The place where a model's runtime is chosen.

    Args:
        run: the folder that keeps the verdict, in `runtime.json`.
        part: which of the run's models: `answers` or `encoder`.
        model: the Keras model.
        size: rows per batch of Keras.
        wish: `auto`, `tensorflow` or `litert`.
    """

    def __init__(self, run: Path, part: str, model: Any, size: int, wish: str):
        self.path, self.part, self.model, self.size, self.wish = run / "runtime.json", part, model, size, wish

    def choose(self, rows: int, sample: Callable[[], np.ndarray]) -> tuple[Runtime | None, Verdict]:
        """Return the runtime (None for Keras) and the verdict.

        Args:
            rows: how many are to be computed, at least.
            sample: returns up to 64 real tensors.

        Raises:
            UserError: `litert` is asked for and can't be had, or doesn't answer the same.
        """
        kept = self._kept()
        if self.wish == "tensorflow" or (self.wish == "auto" and kept is not None and kept.name == "tensorflow"):
            return None, Verdict("tensorflow", why=None if kept is None else kept.why)
        hindrance = _hindrance()
        if hindrance:
            if self.wish == "litert":
                raise UserError(f"--runtime litert: {hindrance}")
            (progress.notice if kept else progress.detail)(f"TensorFlow computes: {hindrance}")
            return None, Verdict("tensorflow")
        if self.wish == "auto" and kept is not None:
            return self._obeyed(kept)
        try:
            tensors = sample()
        except Unreadable:
            return None, Verdict("tensorflow")
        if self.wish == "auto" and not self._worth(rows, tensors):
            return None, Verdict("tensorflow")
        return self._raced(tensors)

    def _kept(self) -> Verdict | None:
        try:
            return Verdict(**read_json(self.path)[self.part])
        except (UserError, KeyError, TypeError):
            return None

    def _keep(self, verdict: Verdict) -> None:
        try:
            others = read_json(self.path) if self.path.is_file() else {}
            write_json(self.path, others | {self.part: verdict.plain()})
        except UserError as problem:
            progress.detail(f"the verdict on the runtime isn't kept: {problem}")

    def _obeyed(self, kept: Verdict) -> tuple[Runtime | None, Verdict]:
        try:
            return self._converted(), kept
        except Exception as problem:  # converters raise whatever a model makes them raise
            progress.notice(f"TensorFlow computes, for LiteRT can't any more: {_one_line(problem)}")
            return None, Verdict("tensorflow")

    def _worth(self, rows: int, tensors: np.ndarray) -> bool:
        """Whether Keras would take long enough for all rows."""
        batch = _filled(tensors, self.size)[: self.size]
        self._by_keras(batch)
        return rows * _seconds(lambda: self._by_keras(batch)) / len(batch) >= WORTH

    def _raced(self, tensors: np.ndarray) -> tuple[Runtime | None, Verdict]:
        asked = self.wish == "litert"
        try:
            runtime = self._converted()
            rows = _filled(tensors, self.size)
            said, wanted = runtime.run(rows), self._by_keras(rows)
        except Exception as problem:  # converters raise whatever a model makes them raise
            return self._lost(f"LiteRT can't compute this model: {_one_line(problem)}", asked)
        apart = float(np.abs(said - wanted).max()) if said.shape == wanted.shape else float("inf")
        if not apart <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            return self._lost(f"LiteRT's answers differ by {apart:.2g}", asked)
        few = rows[: self.size]
        times = [(_seconds(lambda: self._by_keras(few)), _seconds(lambda: runtime.run(few))) for _ in range(2)]
        slow, fast = np.min(times, axis=0)
        verdict = Verdict("litert", round(float(slow / fast), 2), apart)
        if slow / fast < FASTER and not asked:
            verdict = Verdict("tensorflow", verdict.speedup, apart, "LiteRT was not faster")
            runtime = None
        if not asked:  # one command's wish is no verdict for all others
            self._keep(verdict)
        progress.detail(f"{verdict.name} computes; LiteRT ran {slow / fast:.1f} × as fast, answers within {apart:.1g}")
        return runtime, verdict

    def _lost(self, why: str, asked: bool) -> tuple[None, Verdict]:
        if asked:
            raise UserError(f"--runtime litert: {why}")
        progress.notice(f"TensorFlow computes: {why}")
        verdict = Verdict("tensorflow", why=why)
        self._keep(verdict)
        return None, verdict

    def _converted(self) -> Runtime:
        """Return LiteRT on the converted model, which the cache keeps by what it was made from."""
        from horngate.pipelines.runtimes import conversion, litert  # TensorFlow, and a package that may be missing

        name = f"{conversion.content_of(self.model)}.tflite"
        size = 4 * int(self.model.count_params())
        with progress.hushed():
            path = cache.cached_file(name, lambda path: conversion.to_litert(self.model, path), size)
        return litert.start(path)

    def _by_keras(self, rows: np.ndarray) -> np.ndarray:
        parts = np.split(rows, len(rows) // self.size)
        return np.concatenate([np.asarray(self.model.predict_on_batch(part)) for part in parts])


def counted(blocks: Iterable[pa.Table]) -> tuple[int, list[pa.Table], Iterator[pa.Table]]:
    """Return about how many rows blocks have, the first blocks, and all of them again."""
    blocks, first, rows, held = iter(blocks), [], 0, 0
    for block in blocks:
        first.append(block)
        rows, held = rows + block.num_rows, held + block.nbytes
        if rows >= COUNTED or held >= HELD:
            return rows * LONGER, first, chain(first, blocks)
    return rows, first, iter(first)


def sampled(reader: Reader, blocks: list[pa.Table]) -> np.ndarray:
    """Return the tensors of the first rows, at most 64, that can be read.

    Raises:
        Unreadable: none can.
    """
    found: list[np.ndarray] = []
    for block in blocks:
        for row in zip(*(block[name] for name in ("input", "value", "error")), strict=True):
            try:
                found += tensors_of(reader.read(content(*(cell.as_py() for cell in row))))
            except Unreadable:
                continue
            if len(found) >= RACED:
                return reader.collate(found[:RACED])
    if not found:
        raise Unreadable("no row could be read")
    return reader.collate(found)


def _hindrance() -> str | None:
    """Return why LiteRT can't be used on this machine, or None."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return "a GPU is faster"
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "LiteRT is faster on a CPU; install horngate[litert] for it"
    return None


def _filled(tensors: np.ndarray, size: int) -> np.ndarray:
    """Return tensors repeated to a multiple of `size` rows."""
    count = -(-len(tensors) // size) * size
    return np.concatenate([tensors] * -(-count // len(tensors)))[:count]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
