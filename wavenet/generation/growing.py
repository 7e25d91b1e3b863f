"""Clips that are encoded and written in a thread of their own, while the kernel, which lets go of Python, draws."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.audio.files import GrowingMp3
from wavenet.generation.clip_files import Making, write_clip
from wavenet.generation.engines import Levels
from wavenet.generation.requests import ClipRequest
from wavenet.run_paths import RunPaths


class GrowingClip:
    """A clip whose MP3 is encoded as its levels become known.

    Args:
        run, request: where and what it is.
        beginning: samples that it goes on from, and that its file begins with; none, or an excerpt.
    """

    def __init__(self, run: RunPaths, request: ClipRequest, beginning: NDArray[np.float32]) -> None:
        self._run, self._request, self._beginning = run, request, beginning
        self._mp3: GrowingMp3 | None = None
        self._num_encoded = 0
        self._seconds = 0.0

    def grow(self, levels: NDArray[np.uint8]) -> None:
        """Encode what is new in ``levels``, which are all of the clip that are known."""
        started = time.thread_time()
        if self._mp3 is None:
            self._mp3 = GrowingMp3(self._request.sample_rate_hz)
            self._mp3.add(self._beginning)
        self._mp3.add(mulaw.decode(levels[self._num_encoded :]))
        self._num_encoded = len(levels)
        self._seconds += time.thread_time() - started

    def finish(self, levels: NDArray[np.uint8], making: Making, kept_samples: int) -> None:
        """Write the whole clip; raise `StorageError` where the run folder cannot be written."""
        self.grow(levels)
        assert self._mp3 is not None  # noqa: S101 - `grow` has made it
        samples = np.concatenate([self._beginning, mulaw.decode(levels)])
        write_clip(
            self._run,
            self._request,
            samples,
            self._mp3.close(),
            making,
            kept_samples=kept_samples,
            encoding_seconds=self._seconds,
        )

    def abandon(self) -> None:
        """Let go of the encoder, which must not be left to the end of the process; no harm after `finish`."""
        if self._mp3 is not None:
            self._mp3.close()


class Writer:
    """The thread. Leaving the context waits for all that was handed to it; an error there is raised by `wait`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._clips: Sequence[GrowingClip] = ()
        self._growing: Future[None] | None = None
        self._finishing: Future[None] | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.submit(_abandon, self._clips)
        self._pool.shutdown()

    def follow(self, clips: Sequence[GrowingClip], rows: Sequence[NDArray[np.uint8]]) -> None:
        """Encode what is known of the clips by now, unless the thread is still at what was known before."""
        self._clips = clips
        if self._growing is None or self._growing.done():
            self._growing = self._pool.submit(_grow, clips, rows)

    def finish(self, clips: Sequence[GrowingClip], levels: Levels, making: Making) -> None:
        """Write the clips; those of the batch before are written when this returns."""
        self.wait()
        self._finishing = self._pool.submit(_finish, clips, levels, making)

    def wait(self) -> None:
        """Until everything handed over is done; raise what went wrong."""
        for future in (self._growing, self._finishing):
            if future is not None:
                future.result()


def _grow(clips: Sequence[GrowingClip], rows: Sequence[NDArray[np.uint8]]) -> None:
    for clip, levels in zip(clips, rows, strict=False):  # an engine may have no levels at hand before the end
        clip.grow(levels)


def _finish(clips: Sequence[GrowingClip], levels: Levels, making: Making) -> None:
    try:
        for clip, row, kept in zip(clips, levels.rows, levels.kept, strict=True):
            clip.finish(row, making, kept)
    finally:
        _abandon(clips)


def _abandon(clips: Sequence[GrowingClip]) -> None:
    for clip in clips:
        clip.abandon()
