"""Music of five genres, made by formula: what the demo learns and the tests measure.

Each genre is a loop of notes in a timbre of its own, simple enough for a small WaveNet (every period is shorter than
a receptive field of 32 ms) and far enough from the others that a spectrum tells them apart. The sound is there from
the very first sample, in any phase, because generation starts from silence: a genre that fades in would be learnt as
silence. A faint noise floor makes a wrong draw common in training, so that generation recovers from its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wavenet.seeds import generator

Signal = NDArray[np.float64]
"""(T,) amplitudes in [-1, 1], or any other value in time, at `SAMPLE_RATE_HZ`."""

SAMPLE_RATE_HZ = 16_000

_MOTIF_NOTES = 8


class _Player:
    """One recording's clock and dice: every method returns a `Signal` of the recording's length."""

    def __init__(self, number: int, rng: np.random.Generator, num_samples: int) -> None:
        self.number = number
        self.rng = rng
        self.seconds = np.arange(num_samples) / SAMPLE_RATE_HZ

    def key(self, roots_hz: Sequence[float]) -> float:
        """Root of the recording's key: in turn, since a key that only a held-out recording has cannot be learnt."""
        return roots_hz[self.number % len(roots_hz)]

    def seconds_per_beat(self, slowest_bpm: float, fastest_bpm: float) -> float:
        return 60 / self.rng.uniform(slowest_bpm, fastest_bpm)

    def since_beat(self, beat_seconds: float, offset_beats: float = 0) -> Signal:
        """Seconds since the last beat; the beats are shifted by ``offset_beats`` of a beat."""
        return np.asarray(np.mod(self.seconds - offset_beats * beat_seconds, beat_seconds))

    def melody(self, root_hz: float, scale: Sequence[float], note_seconds: float) -> Signal:
        """Frequency in Hz: a motif of random notes of the scale (ratios to the root), repeated."""
        motif = self.rng.choice(np.asarray(scale), _MOTIF_NOTES) * root_hz
        note = (self.seconds / note_seconds).astype(np.int64)
        return np.asarray(motif[note % _MOTIF_NOTES], np.float64)

    def phase(self, frequency_hz: Signal) -> Signal:
        """Running phase in radians from a random beginning; continuous where the frequency jumps, so nothing clicks."""
        return np.asarray(2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ + self.rng.uniform(0, 2 * np.pi))

    def noise(self) -> Signal:
        """White noise of unit power."""
        return self.rng.standard_normal(self.seconds.size)


def _partials(phase: Signal, amplitudes: Sequence[float]) -> Signal:
    """Sum of harmonics 1, 2, … of ``phase`` with the given amplitudes."""
    total = np.zeros_like(phase)
    for number, amplitude in enumerate(amplitudes, start=1):
        if amplitude:
            total += amplitude * np.sin(number * phase)
    return total


def _decay(since: Signal, seconds: float, floor: float = 0) -> Signal:
    """Envelope that falls from 1 towards ``floor`` after each beat."""
    return floor + (1 - floor) * np.exp(-since / seconds)


_SAW = tuple(1 / number for number in range(1, 7))
_BRIGHT = (0.6, 0.8, 0.5, 0.4)


def metal(player: _Player) -> Signal:
    """Distorted power chords in fast repeated low notes."""
    note_seconds = player.seconds_per_beat(215, 270) / 2
    root = player.key((82.4, 92.5, 98.0))
    phase = player.phase(player.melody(root, (1, 1, 1, 1, 9 / 8, 6 / 5, 4 / 3), note_seconds))
    chord = np.tanh(0.9 * (_partials(phase, _SAW) + 0.8 * _partials(1.5 * phase, _SAW)))
    return 0.5 * _decay(player.since_beat(note_seconds), 0.06, floor=0.55) * chord + 0.01 * player.noise()


def hip(player: _Player) -> Signal:
    """A slow sub-bass line under hi-hats."""
    beat_seconds = player.seconds_per_beat(84, 96)
    phase = player.phase(player.melody(1, (49.0, 55.0, 58.3, 65.4), beat_seconds))
    hat = 0.14 * _decay(player.since_beat(beat_seconds / 2), 0.03) * player.noise()
    return 0.45 * np.sin(phase) + 0.12 * np.sin(2 * phase) + hat + 0.008 * player.noise()


def rock(player: _Player) -> Signal:
    """Bright ringing fifths, a ride cymbal and a snare on every other beat."""
    beat_seconds = player.seconds_per_beat(115, 135)
    root = player.key((196.0, 220.0, 247.0))
    phase = player.phase(player.melody(root, (1, 4 / 3, 3 / 2, 5 / 3), beat_seconds))
    chord = _partials(phase, _BRIGHT) + _partials(1.5 * phase, _BRIGHT)
    ride = 0.03 * _decay(player.since_beat(beat_seconds / 2), 0.08, floor=0.4)
    snare = 0.12 * _decay(player.since_beat(2 * beat_seconds, offset_beats=1), 0.05)
    ringing = _decay(player.since_beat(beat_seconds), 0.2, floor=0.5)
    return 0.2 * ringing * chord + (ride + snare) * player.noise()


def classical(player: _Player) -> Signal:
    """A quiet flute-like melody with vibrato."""
    note_seconds = player.seconds_per_beat(150, 214)
    root = player.key((262.0, 294.0, 330.0))
    vibrato = 1 + 0.003 * np.sin(2 * np.pi * 5.5 * player.seconds)
    phase = player.phase(vibrato * player.melody(root, (1, 9 / 8, 5 / 4, 3 / 2, 5 / 3, 2), note_seconds))
    ringing = _decay(player.since_beat(note_seconds), 0.15, floor=0.35)
    return 0.28 * ringing * _partials(phase, (1, 0.35, 0.12)) + 0.01 * player.noise()


def hardcore(player: _Player) -> Signal:
    """A high lead over very fast, overdriven kick drums that sweep down."""
    beat_seconds = player.seconds_per_beat(175, 195)
    since = player.since_beat(beat_seconds)
    sweep = 2 * np.pi * (58 * since + 150 * 0.03 * (1 - np.exp(-since / 0.03)))
    kick = np.tanh(2 * _decay(since, 0.12) * np.sin(sweep))
    root = player.key((880.0, 988.0, 1047.0))
    lead = player.phase(player.melody(root, (1, 1, 6 / 5, 4 / 3, 3 / 2), beat_seconds / 2))
    return 0.3 * kick + 0.28 * _partials(lead, (1, 0.5, 0.33)) + 0.01 * player.noise()


GENRES: dict[str, Callable[[_Player], Signal]] = {
    "metal": metal,
    "hip": hip,
    "rock": rock,
    "classical": classical,
    "hardcore": hardcore,
}


def compose(genre: str, number: int, *, seed: int, seconds: float) -> NDArray[np.float32]:
    """Recording ``number`` of ``genre``, mono: (T,) amplitudes in [-1, 1] at `SAMPLE_RATE_HZ`.

    The same arguments give the same samples; keys, tempos, motifs and noise differ between numbers. ``genre`` is a key
    of `GENRES`.
    """
    player = _Player(number, generator(seed, f"synthetic/{genre}/{number}"), round(seconds * SAMPLE_RATE_HZ))
    return np.clip(GENRES[genre](player), -1, 1).astype(np.float32)
