"""The five genres are what the demo needs: repeatable, loud from the first sample, far apart."""

from __future__ import annotations

import numpy as np
import pytest

from wavenet.audio import mulaw
from wavenet.synthetic.music import GENRES, SAMPLE_RATE_HZ, compose

SECONDS = 4.0
NUM_BANDS = 12


def _spectrum(samples):
    """(NUM_BANDS,) log power in bands of equal width in pitch, what lies 20 dB below the loudest not counting."""
    power = np.abs(np.fft.rfft(samples.reshape(-1, 500) * np.hanning(500))) ** 2
    edges = np.round(np.geomspace(1, power.shape[1], NUM_BANDS + 1)).astype(int)
    edges = np.maximum.accumulate(np.maximum(edges, np.arange(1, NUM_BANDS + 2)))
    bands = np.add.reduceat(power.mean(0), edges[:-1])
    return np.log(bands / bands.max() + 0.01)


@pytest.mark.parametrize("genre", GENRES)
def test_the_same_seed_gives_the_same_recording(genre):
    """And another number, or another seed, another one."""
    once, again, other, reseeded = (
        compose(genre, number, seed=seed, seconds=1) for number, seed in ((0, 1), (0, 1), (1, 1), (0, 2))
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, reseeded)


@pytest.mark.parametrize("genre", GENRES)
def test_it_sounds_from_the_first_moment_and_never_stops(genre):
    """No 50 ms are silent, the first included; and it neither clips nor leaves [-1, 1]."""
    for number in range(3):
        samples = compose(genre, number, seed=0, seconds=SECONDS)
        assert samples.dtype == np.float32
        assert samples.shape == (SECONDS * SAMPLE_RATE_HZ,)
        assert np.abs(samples).max() < 1
        loudness = np.sqrt((samples.reshape(-1, SAMPLE_RATE_HZ // 20) ** 2).mean(1))
        assert loudness.min() > 0.02


def test_each_recording_is_nearest_to_its_own_genre():
    """By spectrum alone, each recording's nearest neighbour among all others is of its genre."""
    labels = [(genre, number) for genre in GENRES for number in range(4)]
    spectra = np.stack([_spectrum(compose(genre, number, seed=3, seconds=SECONDS)) for genre, number in labels])
    distances = np.linalg.norm(spectra[:, None] - spectra[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = [labels[index][0] for index in distances.argmin(1)]
    assert nearest == [genre for genre, _ in labels]


@pytest.mark.parametrize("genre", GENRES)
def test_it_uses_the_levels_of_the_model(genre):
    """Quantized to 256 levels it is still music: many levels occur, and none half of the time."""
    levels = mulaw.encode(compose(genre, 0, seed=0, seconds=SECONDS))
    counts = np.bincount(levels, minlength=256)
    assert (counts > 0).sum() > 60
    assert counts.max() < 0.1 * counts.sum()
