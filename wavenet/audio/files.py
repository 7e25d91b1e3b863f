"""Read audio files of every kind as 16-bit mono, and write WAV and MP3."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from wavenet.audio import ffmpeg
from wavenet.audio.headers import CUT_SHORT, UNREADABLE, read_header
from wavenet.audio.names import display
from wavenet.durable import write_bytes
from wavenet.errors import RecordingError

__all__ = ["GrowingMp3", "decode", "display", "encode_mp3", "encode_wav", "to_float", "to_int16"]

NOT_FINITE = "samples that are not finite numbers"
CHANNELS_CANCEL = "channels that cancel each other"

_MARGIN_SECONDS = 0.1
"""Read beyond the end that is asked for, so that the resampling filter does not see an edge there."""

_MISSING_SECONDS = 0.5
"""How much less than the header promises is still whole: encoder padding, and lengths counted in frames."""

_CANCELLED_POWER = 1e-4
"""Mono power, as a part of the channels' own, below which downmixing has destroyed the recording (-40 dB)."""

_BLOCK_FRAMES = 1 << 18

_MP3: dict[str, Any] = {
    "format": "MP3",
    "subtype": "MPEG_LAYER_III",
    "bitrate_mode": "CONSTANT",
    "compression_level": 0.5,
}


@dataclass(frozen=True)
class _Mono:
    """Mean of the channels ``samples`` (T,), their rate, and the mean power of the channels before mixing."""

    samples: NDArray[np.float32]
    rate_hz: int
    channel_power: float

    @property
    def seconds(self) -> float:
        return self.samples.size / self.rate_hz


def decode(path: Path, stop_seconds: float | None = None, sample_rate_hz: int = 16_000) -> NDArray[np.int16]:
    """Return the recording's samples (T,) from its beginning to ``stop_seconds`` (None: its end).

    Mono is the mean of the channels; values beyond full scale saturate.

    Raises:
        RecordingError: the file cannot be decoded, holds less than its header promises before ``stop_seconds``, holds
            NaN or Inf, or its channels cancel each other out.
        StorageError: no room for a temporary file.
    """
    try:
        header = read_header(path)
        stop = None if stop_seconds is None else stop_seconds + _MARGIN_SECONDS
        mono = _read_mono(path, stop, header.needs_ffmpeg)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError(f"{display(path)} cannot be read: {reason}", UNREADABLE, reason) from error
    _check(path, mono, _promised_seconds(header.seconds, stop_seconds))
    samples = to_int16(soxr.resample(mono.samples, mono.rate_hz, sample_rate_hz))
    return samples if stop_seconds is None else samples[: round(stop_seconds * sample_rate_hz)]


def to_int16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Return 16-bit samples of float ``samples`` whose full scale is ±1; what lies beyond saturates, never wraps."""
    return np.asarray(np.clip(np.rint(samples * 32768.0), -32768, 32767), np.int16)


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return float samples in [-1, 1) of 16-bit ``samples``."""
    return samples.astype(np.float32) / np.float32(32768)


def encode_wav(path: Path, samples: NDArray[np.float32], sample_rate_hz: int) -> None:
    """Write mono float ``samples`` (T,) as a 16-bit WAV; raise `StorageError` where the disk refuses."""
    write_bytes(path, _encoded(samples, sample_rate_hz, format="WAV", subtype="PCM_16"))


def encode_mp3(path: Path, samples: NDArray[np.float32], sample_rate_hz: int) -> None:
    """Write mono float ``samples`` (T,) as an MP3 of constant bit rate; raise `StorageError` where the disk refuses."""
    growing = GrowingMp3(sample_rate_hz)
    growing.add(samples)
    write_bytes(path, growing.close())


class GrowingMp3:
    """An MP3 of constant bit rate that is encoded as its samples become known: the same bytes as in one piece."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._file = io.BytesIO()
        self._encoder = soundfile.SoundFile(self._file, "w", samplerate=sample_rate_hz, channels=1, **_MP3)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Encode mono float ``samples`` (T,) behind those before; other threads run meanwhile."""
        self._encoder.write(to_int16(samples))

    def close(self) -> bytes:
        """The file's bytes; nothing can be added any more."""
        self._encoder.close()
        return self._file.getvalue()


def _encoded(samples: NDArray[np.float32], sample_rate_hz: int, **options: Any) -> bytes:
    """The file's bytes. In memory, because a full disk under libsndfile is an assertion, not an error with a number."""
    file = io.BytesIO()
    soundfile.write(file, to_int16(samples), sample_rate_hz, **options)
    return file.getvalue()


def _read_mono(path: Path, stop_seconds: float | None, needs_ffmpeg: bool) -> _Mono:
    if not needs_ffmpeg:
        try:
            # As bytes: soundfile cannot encode a name that is not UTF-8.
            with soundfile.SoundFile(os.fsencode(path)) as file:
                return _read_blocks(file, stop_seconds)
        except soundfile.LibsndfileError as error:
            if _is_known_to_libsndfile(error):
                reason = error.error_string.rstrip(".")
                raise RecordingError(f"{display(path)} is {UNREADABLE}: {reason}", UNREADABLE, reason) from error
    frames, rate = ffmpeg.decode(path, stop_seconds)
    return _Mono(frames.mean(axis=1, dtype=np.float32), rate, _power(frames))


def _is_known_to_libsndfile(error: soundfile.LibsndfileError) -> bool:
    """Whether the file is of a format that libsndfile reads, and broken; ffmpeg would only find the same."""
    unrecognised = 1
    return bool(error.code != unrecognised)


def _read_blocks(file: soundfile.SoundFile, stop_seconds: float | None) -> _Mono:
    """Mix block by block: six channels at 192 kHz for two minutes are half a gigabyte. No seeking: it is inexact."""
    left = file.frames if stop_seconds is None else round(stop_seconds * file.samplerate)
    mono, energy = [], 0.0
    while left > 0:
        frames = file.read(min(left, _BLOCK_FRAMES), dtype="float32", always_2d=True)
        if not len(frames):
            break
        mono.append(frames.mean(axis=1, dtype=np.float32))
        energy += _power(frames) * len(frames)
        left -= len(frames)
    samples = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    return _Mono(samples, file.samplerate, energy / max(1, samples.size))


def _power(frames: NDArray[np.float32]) -> float:
    return float(np.square(frames, dtype=np.float64).mean()) if frames.size else 0.0


def _promised_seconds(header_seconds: float | None, stop_seconds: float | None) -> float:
    if header_seconds is None:
        return 0.0
    return header_seconds if stop_seconds is None else min(header_seconds, stop_seconds)


def _check(path: Path, mono: _Mono, promised_seconds: float) -> None:
    if mono.samples.size == 0:
        raise RecordingError(f"{display(path)} holds no audio", UNREADABLE, "no audio in it")
    if mono.seconds < promised_seconds - _MISSING_SECONDS:
        detail = f"{mono.seconds:.1f} s where its header promises {promised_seconds:.1f} s"
        raise RecordingError(f"{display(path)} is cut short: it holds {detail}", CUT_SHORT, detail)
    if not np.isfinite(mono.channel_power):
        raise RecordingError(f"{display(path)} holds {NOT_FINITE}", NOT_FINITE)
    power = _power(mono.samples)
    if power < _CANCELLED_POWER * mono.channel_power:
        detail = f"mixed to mono, {power / mono.channel_power:.0e} of their power is left"
        raise RecordingError(f"{display(path)} has {CHANNELS_CANCEL}: {detail}", CHANNELS_CANCEL, detail)
