"""The two implementations of generation behind one face: torch, and the native kernel, which never imports torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wavenet.generation.config import SamplingConfig, Variant, Weights
from wavenet.generation.in_progress import Keeper
from wavenet.generation.native.batch import draw_all
from wavenet.generation.native.library import find_library
from wavenet.generation.native.streams import Kernel, new_streams
from wavenet.generation.restore import restore, restore_packed
from wavenet.generation.streams import StreamRequest
from wavenet.model.config import ModelConfig

_MOST_STREAMS = 16
"""More at once are hardly faster, and a clip that is complete is out of danger."""
_MOST_RING_BYTES = 1 << 26
_MOST_STREAMS_ON_GPU = 4096
_MOST_QUEUE_BYTES_ON_GPU = 1 << 33
"""Half of a small GPU's memory."""
Drawn = Callable[[int, Sequence[NDArray[np.uint8]]], None]
"""Told how many samples of all streams together are drawn, and each stream's levels as far as they are at hand."""


@dataclass(frozen=True)
class Work:
    """Streams of equal length to be drawn together.

    ``files`` are where a stream in progress is kept, ``made_for`` says what each is.
    """

    streams: Sequence[StreamRequest]
    num_samples: int
    sampling: SamplingConfig
    files: Sequence[Path]
    made_for: Sequence[str]


@dataclass(frozen=True)
class Levels:
    """What was drawn, and what that took.

    Attributes:
        rows: one (T,) per stream.
        kept: how many levels of each stream an earlier start had drawn.
        priming_seconds, sampling_seconds: for all streams together, those of earlier starts included.
    """

    rows: Sequence[NDArray[np.uint8]]
    kept: Sequence[int]
    priming_seconds: float
    sampling_seconds: float


class Engine(Protocol):
    """A checkpoint's model with an implementation."""

    @property
    def variant(self) -> Variant: ...

    @property
    def config(self) -> ModelConfig: ...

    @property
    def most_streams(self) -> int:
        """So many streams are drawn together at most."""

    def draw(self, work: Work, drawn: Drawn) -> Levels: ...


def open_engine(variant: Variant, checkpoint: Path, weights: Weights, threads: int, save_seconds: float) -> Engine:
    """The engine of ``variant``, as `wavenet.generation.variants.choose` gives it, for a checkpoint.

    Raises as `restore` and `restore_packed`.
    """
    if variant in (Variant.torch, Variant.cuda):
        return TorchEngine(variant, checkpoint, weights)
    return NativeEngine(variant, checkpoint, weights, threads, save_seconds)


class TorchEngine:
    """Draws by torch, on the processor or on a GPU; keeps nothing of streams in progress."""

    def __init__(self, variant: Variant, checkpoint: Path, weights: Weights) -> None:
        self._variant = variant
        self._model = restore(checkpoint, weights)[0].to("cuda" if variant is Variant.cuda else "cpu")

    @property
    def variant(self) -> Variant:
        return self._variant

    @property
    def config(self) -> ModelConfig:
        return self._model.config

    @property
    def most_streams(self) -> int:
        """Many, for a step's time goes to calling torch, hardly to the streams."""
        from wavenet.generation.queues import floats_per_stream

        if self._variant is Variant.torch:
            return 4 * _MOST_STREAMS
        return max(1, min(_MOST_STREAMS_ON_GPU, _MOST_QUEUE_BYTES_ON_GPU // (4 * floats_per_stream(self.config))))

    def draw(self, work: Work, drawn: Drawn) -> Levels:
        from wavenet.generation.generate import generate_levels

        started = time.monotonic()
        rows = generate_levels(
            self._model,
            work.streams,
            work.num_samples,
            work.sampling,
            lambda done, _: drawn(done * len(work.streams), []),
        )
        return Levels(list(rows), [0] * len(rows), 0.0, time.monotonic() - started)


class NativeEngine:
    """Draws by a variant of the native kernel; streams in progress are kept every ``save_seconds``."""

    def __init__(self, variant: Variant, checkpoint: Path, weights: Weights, threads: int, save_seconds: float) -> None:
        library = find_library()
        assert library is not None  # noqa: S101 - `choose` has found the variant in it
        model = restore_packed(checkpoint, weights, variant.precision)
        self._kernel = Kernel(library, variant.instructions, model)
        self._variant, self._threads, self._save_seconds = variant, threads, save_seconds

    @property
    def variant(self) -> Variant:
        return self._variant

    @property
    def config(self) -> ModelConfig:
        return self._kernel.model.config

    @property
    def most_streams(self) -> int:
        fitting = _MOST_RING_BYTES // (4 * self._kernel.model.ring_floats)
        return self._threads * max(1, min(_MOST_STREAMS, fitting))

    def draw(self, work: Work, drawn: Drawn) -> Levels:
        streams = new_streams(self._kernel.model, work.streams, work.num_samples)
        made_for = [f"{self._variant.value} {what}" for what in work.made_for]
        keeper = Keeper(work.files, streams, made_for, self._save_seconds)
        started = time.monotonic()
        fresh = keeper.load()
        kept = [stream.num_drawn for stream in streams]
        if fresh:
            self._kernel.start(fresh)
        priming_seconds = time.monotonic() - started

        def after_slice() -> None:
            keeper.save_now_and_then()
            rows = [stream.levels[: stream.num_drawn] for stream in streams]
            drawn(sum(map(len, rows)), rows)

        with keeper.saved_if_stopped():
            draw_all(self._kernel, streams, work.sampling, after_slice, self._threads)
        rows = [stream.levels for stream in streams]
        return Levels(rows, kept, priming_seconds, keeper.seconds - priming_seconds)
