"""Streams moved on together to their end, in slices of time, on one thread or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wavenet.generation.config import SamplingConfig
from wavenet.generation.native.streams import Kernel, Stream, new_streams
from wavenet.generation.streams import StreamRequest, require_work
from wavenet.progress import Progress, silent

_SLICE_SECONDS = 0.2
"""A signal waits so long for Python to look at it, and progress is told so often."""
_FIRST_SLICE_SAMPLES = 32
_MOST_SLICE_SAMPLES = 1 << 16
_PLAIN = SamplingConfig()


def draw_all(
    kernel: Kernel,
    streams: Sequence[Stream],
    sampling: SamplingConfig,
    after_slice: Callable[[], None],
    threads: int = 1,
) -> None:
    """Draw what is left of every stream. An exception leaves each stream whole: `draw_all` again goes on.

    Args:
        kernel: moves the streams on.
        streams: they may have different numbers of levels left.
        sampling: for all of them.
        after_slice: called several times a second, when no stream is being moved.
        threads: streams are divided among them.
    """
    num_samples = _FIRST_SLICE_SAMPLES
    with ThreadPoolExecutor(threads) as pool:
        while left := [stream for stream in streams if not stream.is_done()]:
            count = min(num_samples, *(len(stream.levels) - stream.num_drawn for stream in left))
            started = time.monotonic()
            if threads == 1:  # in this thread: a pool would only be one more thing to wait for
                kernel.draw(left, count, sampling)
            else:
                list(pool.map(lambda group, count=count: kernel.draw(group, count, sampling), _shares(left, threads)))
            wished = count * _SLICE_SECONDS / max(1e-6, time.monotonic() - started)
            num_samples = int(min(max(wished, 1), 4 * num_samples, _MOST_SLICE_SAMPLES))
            after_slice()


def _shares(streams: Sequence[Stream], threads: int) -> list[Sequence[Stream]]:
    """The streams of each thread, in numbers that differ by one at most."""
    bounds = np.linspace(0, len(streams), min(threads, len(streams)) + 1).astype(int)
    return [streams[start:stop] for start, stop in pairwise(bounds)]


def generate_levels(
    kernel: Kernel,
    streams: Sequence[StreamRequest],
    num_samples: int,
    sampling: SamplingConfig = _PLAIN,
    *,
    progress: Progress = silent,
    threads: int = 1,
) -> NDArray[np.uint8]:
    """Generate ``num_samples`` levels per stream: `wavenet.generation.generate.generate_levels` without torch.

    A stream's levels depend on the model, its request, the sampling and the variant, and on nothing else.

    Returns:
        (B, T) uint8.

    Raises:
        UsageError: no stream, no sample, or a condition that the model does not know.
    """
    require_work(streams, num_samples)
    started = new_streams(kernel.model, streams, num_samples)
    kernel.start(started)
    draw_all(kernel, started, sampling, lambda: progress(started[0].num_drawn, num_samples), threads)
    return np.stack([stream.levels for stream in started])
