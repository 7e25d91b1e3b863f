"""Waveform and spectrogram of a clip in a few hundred bytes, which the page draws on a canvas.

Layout of a thumbnail, always a multiple of three bytes so that each one is a slice of one long base64 text::

    wave_columns bytes               peak (high four bits) and root mean square (low four bits) of each time column
    columns × bands half bytes       level of each mel band, lowest band first, column after column
    padding to a multiple of three

Four bits are 16 shades; the canvas smooths between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WINDOW = 1024
_WINDOWS_PER_COLUMN = 2
_LOWEST_HZ = 60.0
_FLOOR_DB = -75.0
_TOP_SHADE = 15


@dataclass(frozen=True)
class Resolution:
    """Time columns of the waveform, and time columns and mel bands (even) of the spectrogram."""

    wave_columns: int
    columns: int
    bands: int

    @property
    def num_bytes(self) -> int:
        used = self.wave_columns + self.columns * self.bands // 2
        return -(-used // 3) * 3

    @property
    def num_characters(self) -> int:
        """Length in base64."""
        return self.num_bytes // 3 * 4


RESOLUTIONS = (
    Resolution(160, 160, 40),
    Resolution(128, 120, 32),
    Resolution(120, 96, 24),
    Resolution(96, 64, 20),
    Resolution(80, 48, 16),
    Resolution(64, 32, 14),
    Resolution(48, 28, 12),
    Resolution(44, 24, 10),
    Resolution(40, 22, 10),
    Resolution(36, 20, 8),
)


def choose_resolution(num_clips: int, budget_characters: int) -> Resolution | None:
    """The finest resolution at which ``num_clips`` thumbnails fit into the budget; None where not even the coarsest."""
    fitting = (entry for entry in RESOLUTIONS if entry.num_characters * num_clips <= budget_characters)
    return next(fitting, None)


def read_samples(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples in [-1, 1], (T,), mean of the channels, and the sample rate in Hz.

    Raises:
        RuntimeError: libsndfile cannot read the file (its own error type derives from this).
    """
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1), int(rate)


def thumbnail(samples: NDArray[np.float32], sample_rate_hz: int, resolution: Resolution) -> bytes:
    """The bytes described above, of ``samples`` (T,) in [-1, 1]; values that are not finite count as silence."""
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    wave = _envelope(samples, resolution.wave_columns)
    shades = _spectrogram(samples, sample_rate_hz, resolution)
    cells = shades.reshape(-1, 2)
    packed = np.concatenate([wave, (cells[:, 0] << 4) | cells[:, 1]])
    return packed.astype(np.uint8).tobytes().ljust(resolution.num_bytes, b"\0")


def _envelope(samples: NDArray[np.float32], columns: int) -> NDArray[np.uint8]:
    """Peak and root mean square per column, both as square roots: quiet music stays visible in four bits."""
    padded = np.pad(samples, (0, max(0, columns - len(samples))))
    edges = np.linspace(0, len(padded), columns + 1).astype(np.int64)[:-1]
    counts = np.diff(np.append(edges, len(padded)))
    peak = np.maximum.reduceat(np.abs(padded), edges)
    rms = np.sqrt(np.add.reduceat(padded.astype(np.float64) ** 2, edges) / counts)
    high, low = (_shades(np.sqrt(np.clip(value, 0, 1))) for value in (peak, rms))
    return ((high << 4) | low).astype(np.uint8)


def _spectrogram(samples: NDArray[np.float32], sample_rate_hz: int, resolution: Resolution) -> NDArray[np.uint8]:
    """(columns, bands) shades of the mel power in dB against the loudest cell, from a few windows per column."""
    count = resolution.columns * _WINDOWS_PER_COLUMN
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    starts = np.linspace(0, max(0, len(samples) - _WINDOW // 2), count).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[starts] * np.hanning(_WINDOW).astype(np.float32)
    spectrum = np.fft.rfft(frames, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).reshape(resolution.columns, _WINDOWS_PER_COLUMN, -1).mean(axis=1)
    # Not `@`: waking the threads of BLAS for so small a product takes longer than the product.
    cells = np.einsum("tf,fb->tb", power, _mel_filters(sample_rate_hz, resolution.bands))
    loudest = cells.max()
    if loudest < 1e-9:
        return np.zeros((resolution.columns, resolution.bands), np.uint8)
    decibels = 10 * np.log10(np.maximum(cells / loudest, 1e-12))
    return _shades(np.clip(1 - decibels / _FLOOR_DB, 0, 1))


@lru_cache(maxsize=8)
def _mel_filters(sample_rate_hz: int, bands: int) -> NDArray[np.float32]:
    """(bins, bands) triangles equally wide on the mel scale (O'Shaughnessy 1987), each of unit sum.

    A narrow band still takes the bin nearest to its centre, else low bands would be empty.
    """
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / sample_rate_hz)
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, sample_rate_hz / 2))
    edges = 700 * (10 ** (np.linspace(lowest, highest, bands + 2) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    nearest = np.abs(frequencies[:, None] - edges[1:-1]).argmin(axis=0)
    filters[nearest, np.arange(bands)] = np.maximum(filters[nearest, np.arange(bands)], 1e-3)
    normalised: NDArray[np.float32] = (filters / filters.sum(axis=0)).astype(np.float32)
    return normalised


def _shades(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """[0, 1] → 0…15."""
    shades: NDArray[np.uint8] = np.rint(values * _TOP_SHADE).astype(np.uint8)
    return shades
