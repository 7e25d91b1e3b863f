"""Cut clips out of a recording: whole ones only, never across its end, silence trimmed on request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.errors import UsageError
from wavenet.settings import key

FRAME_LENGTH = 2048
HOP_LENGTH = 512
"""Samples per frame, and between frames, of the loudness that trimming looks at (the reference program's)."""

ROUNDING_SECONDS = 0.05
"""How much too short a length may be: headers round (WMA says 29.999 s of 30 s), and 0.3 / 0.1 is less than 3."""


@dataclass(frozen=True)
class ClipsConfig:
    """Which stretches of a recording are taken.

    Raises:
        UsageError: a value outside its range.
    """

    seconds: float = key(120.0, "length of a clip (30 gives the class project's variant)")
    offset_seconds: float = key(0.0, "where in a recording its first clip begins")
    per_recording: int = key(1, "most clips of one recording, one after the other")
    min_recording_seconds: float = key(120.0, "recordings shorter than this, or than a clip, are not taken")
    sample_rate_hz: int = key(16_000, "all recordings are resampled to this rate")
    silence_rms: float = key(0.0, "trim both ends of a clip where quieter than this RMS in [0, 1); 0: never")

    def __post_init__(self) -> None:
        _require("seconds", self.seconds, self.seconds > 0, "more than 0")
        _require("offset_seconds", self.offset_seconds, self.offset_seconds >= 0, "at least 0")
        _require("per_recording", self.per_recording, self.per_recording >= 1, "at least 1")
        _require("min_recording_seconds", self.min_recording_seconds, self.min_recording_seconds >= 0, "at least 0")
        _require("sample_rate_hz", self.sample_rate_hz, 1000 <= self.sample_rate_hz <= 192_000, "from 1000 to 192000")
        _require("silence_rms", self.silence_rms, 0 <= self.silence_rms < 1, "at least 0 and less than 1")

    @property
    def needed_seconds(self) -> float:
        """Length that a recording must have to be taken."""
        return max(self.min_recording_seconds, self.offset_seconds + self.seconds)

    def num_clips(self, recording_seconds: float) -> int:
        """How many whole clips a recording of ``recording_seconds`` holds, at most ``per_recording``."""
        seconds = recording_seconds + ROUNDING_SECONDS
        if seconds < self.needed_seconds:
            return 0
        return min(self.per_recording, math.floor((seconds - self.offset_seconds) / self.seconds))

    def stop_seconds(self, recording_seconds: float) -> float:
        """Where the last clip of a recording of ``recording_seconds`` ends."""
        return self.offset_seconds + self.num_clips(recording_seconds) * self.seconds


@dataclass(frozen=True)
class Cut:
    """A clip's ``samples`` and where in its recording they begin; no samples where the clip is silent throughout."""

    offset_seconds: float
    samples: NDArray[np.int16]

    @property
    def is_silent(self) -> bool:
        return self.samples.size == 0


def cut(samples: NDArray[np.int16], config: ClipsConfig, num_clips: int) -> Iterator[Cut]:
    """Yield the first ``num_clips`` clips of a recording's ``samples`` (T,), each trimmed.

    The last clip is shorter where the recording's header promised a little too much.
    """
    rate = config.sample_rate_hz
    for number in range(num_clips):
        first = round((config.offset_seconds + number * config.seconds) * rate)
        stop = round((config.offset_seconds + (number + 1) * config.seconds) * rate)
        head, kept = trim(samples[first:stop], config.silence_rms)
        yield Cut(offset_seconds=(first + head) / rate, samples=kept)


def trim(samples: NDArray[np.int16], silence_rms: float) -> tuple[int, NDArray[np.int16]]:
    """Return how many samples went from the beginning, and what is left of ``samples`` (T,).

    Nothing is left of a clip that is silent throughout, whatever ``silence_rms``. Frames are centred at multiples of
    `HOP_LENGTH`, and the loud ones decide, as in the reference program, which cuts from the first to the last of them.
    """
    if samples.size == 0 or np.abs(samples.astype(np.int32)).max() <= mulaw.SILENT_PEAK:
        return 0, samples[:0]
    if silence_rms == 0:
        return 0, samples
    loud = np.flatnonzero(frame_rms(samples) > silence_rms)
    if loud.size == 0:
        return 0, samples[:0]
    first, stop = loud[0] * HOP_LENGTH, min(samples.size, (loud[-1] + 1) * HOP_LENGTH)
    return int(first), samples[first:stop]


def frame_rms(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Root mean square, 1 being full scale, of the frames of `FRAME_LENGTH` centred at 0, 512, 1024, … < T."""
    squares = np.square(np.pad(samples / 32768.0, FRAME_LENGTH // 2))
    total = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(0, samples.size, HOP_LENGTH)
    energy = total[np.minimum(starts + FRAME_LENGTH, squares.size)] - total[starts]
    # A running sum may come out a rounding error below zero after a loud beginning.
    return np.asarray(np.sqrt(np.maximum(energy, 0) / FRAME_LENGTH))


def _require(key: str, value: object, is_valid: bool, rule: str) -> None:
    if not is_valid:
        raise UsageError(f"clips.{key} must be {rule}, got {value}")
