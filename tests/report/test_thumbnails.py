"""Thumbnails show what is heard, within their bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavenet.report.thumbnails import RESOLUTIONS, choose_resolution, thumbnail

RATE = 16_000


def unpacked(data: bytes, resolution):
    """(peaks, root mean squares, (columns, bands) shades), all 0…15: the inverse that the page's script implements."""
    values = np.frombuffer(data, np.uint8)
    wave = values[: resolution.wave_columns]
    cells = values[resolution.wave_columns :][: resolution.columns * resolution.bands // 2]
    return wave >> 4, wave & 15, np.stack([cells >> 4, cells & 15], 1).reshape(resolution.columns, resolution.bands)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3000), st.sampled_from(RESOLUTIONS), st.sampled_from([8000, 16_000, 44_100]))
def test_any_clip_has_a_thumbnail_of_the_exact_size(num_samples, resolution, rate):
    """From no sample at all to more than a window: always so many bytes, a multiple of three."""
    data = thumbnail(np.full(num_samples, 0.5, np.float32), rate, resolution)
    assert len(data) == resolution.num_bytes
    assert len(data) % 3 == 0


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20_000), st.integers(0, 2_000_000))
def test_the_finest_resolution_that_fits_is_chosen(num_clips, budget):
    """The sum never exceeds the budget, and a finer one would."""
    chosen = choose_resolution(num_clips, budget)
    fits = [entry for entry in RESOLUTIONS if entry.num_characters * num_clips <= budget]
    assert chosen == (fits[0] if fits else None)


def test_resolutions_run_from_fine_to_coarse():
    """Else the first that fits would not be the finest."""
    sizes = [entry.num_characters for entry in RESOLUTIONS]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_a_rising_tone_rises(resolution):
    """The loudest band of a sweep climbs from the lowest quarter to the highest, column by column."""
    seconds = np.arange(4 * RATE) / RATE
    sweep = 0.5 * np.sin(2 * np.pi * (100 * seconds + 950 * seconds**2)).astype(np.float32)
    _, _, shades = unpacked(thumbnail(sweep, RATE, resolution), resolution)
    loudest = shades.argmax(axis=1)
    assert loudest[0] < resolution.bands / 4
    assert loudest[-2] >= 0.75 * resolution.bands
    assert (np.diff(loudest[:-1]) >= -1).all()


def test_the_waveform_follows_loudness():
    """Silence is empty, half scale shows as its square root, full scale fills the height."""
    resolution = RESOLUTIONS[0]
    samples = np.concatenate([np.zeros(RATE), np.full(RATE, 0.25), np.ones(RATE), np.zeros(RATE)]).astype(np.float32)
    peaks, rms, _ = unpacked(thumbnail(samples, RATE, resolution), resolution)
    quarter = resolution.wave_columns // 4
    for shades in (peaks, rms):
        assert [int(shades[quarter * i + quarter // 2]) for i in range(4)] == [0, 8, 15, 0]


def test_broken_samples_count_as_silence():
    """NaN and infinity of a diverged model draw nothing instead of stopping the report."""
    data = thumbnail(np.array([np.nan, np.inf, -np.inf] * 2000, np.float32), RATE, RESOLUTIONS[-1])
    assert set(data) == {0}
