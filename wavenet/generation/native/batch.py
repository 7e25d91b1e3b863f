"""Streams moved on together to their end, in slices of time, on one thread or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
_SLICES_OF_THE_FASTER = 50
"""Then the slower way is tried again, in a shorter slice."""
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
        threads: streams are divided among them; where there are more threads than streams, several share one stream
            if that turns out to be faster.
    """
    num_samples = _FIRST_SLICE_SAMPLES
    faster = Faster()
    with ThreadPoolExecutor(threads) as pool:
        crew = Crew(kernel, sampling, pool)
        while left := [stream for stream in streams if not stream.is_done()]:
            size = faster.team_size(max(1, threads // len(left)))
            count = min(num_samples, *(len(stream.levels) - stream.num_drawn for stream in left))
            if faster.is_trying:
                count = min(count, _FIRST_SLICE_SAMPLES)
            started = time.monotonic()
            crew.draw(_shares(left, threads), count, size)
            taken = max(1e-6, time.monotonic() - started)
            faster.took(size, taken / count)
            num_samples = int(min(max(count * _SLICE_SECONDS / taken, 1), 4 * num_samples, _MOST_SLICE_SAMPLES))
            after_slice()


class Faster:
    """One thread for a stream or several: known by trying both, for it depends on the machine and its other work."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._num_slices = 0
        self.is_trying = False

    def team_size(self, most: int) -> int:
        """Of the next slice: 1 or ``most``."""
        sizes = {1, most}
        self._num_slices += 1
        self._seconds = {size: seconds for size, seconds in self._seconds.items() if size in sizes}
        by_time = sorted(sizes, key=lambda size: self._seconds.get(size, 0.0))
        is_slowers_turn = len(sizes) > 1 and self._num_slices % _SLICES_OF_THE_FASTER == 0
        self.is_trying = is_slowers_turn or len(self._seconds) < len(sizes)
        return by_time[-1 if is_slowers_turn else 0]

    def took(self, size: int, seconds: float) -> None:
        """What a sample of the slice took."""
        self._seconds[size] = seconds


@dataclass(frozen=True)
class Crew:
    """Threads, one of which is the caller's."""

    kernel: Kernel
    sampling: SamplingConfig
    pool: ThreadPoolExecutor

    def draw(self, groups: Sequence[Sequence[Stream]], num_samples: int, team_size: int) -> None:
        """Move groups of streams on, each by a team."""
        own, *rest = [(group, self.kernel.team(team_size)) for group in groups]
        idle = [team for _, team in (own, *rest)]
        others = []
        try:
            others += [self.pool.submit(team.help, number) for team in idle for number in range(1, team_size)]
            for group, team in rest:
                others.append(self.pool.submit(self.kernel.draw, group, num_samples, self.sampling, team))
                idle.remove(team)
            self.kernel.draw(own[0], num_samples, self.sampling, own[1])
        finally:
            # No thread could be started, or Ctrl-C: those that are there would wait for ever.
            for team in idle:
                team.dismiss()
        for other in others:
            other.result()


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
