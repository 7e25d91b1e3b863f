"""mu-law companding between samples and levels, as the reference program computes it.

Source: ITU-T G.711 with mu = 255 in its continuous form, quantized to Q = 256 levels (van den Oord et al., "WaveNet: a
generative model for raw audio", 2016, section 2.2). Values are rounded to float32 after each operation, as there; the
transcendental functions are evaluated in float64 first, because processors differ in the last bit of their float32
versions, and a sample at the border of two levels would then train differently on two machines.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_LEVELS: Final = 256
"""Q, the number of levels."""

SILENCE: Final = 128
"""The level of the sample 0. It decodes to +8.6e-5: no level decodes to 0."""

SILENT_PEAK: Final = 5
"""16-bit samples up to this magnitude all fall into levels 127 and 128: to the model they are silence."""

_MU = np.float32(NUM_LEVELS - 1)

# Where the reference's float32 power, which is not correctly rounded, lies one unit in the last place above (+) or
# below (-) the true one, for levels 0…255. Without it 59 of its 256 decoded values would be missed by one unit.
_POWER_UNITS = (
    ".....+...-+.........+...-+....-..-+..--..+.....+......++...++..."
    ".....+..-+.....-+.......++.....-...-..++.................-+....."
    "..-....+..............+.....+...-...+......+..+-...+-.-+....+-.."
    "....+.+.-..+...-.....+...+........+.....+......+.+.-.....+....-."
)


def _table_of_samples() -> NDArray[np.float32]:
    signal = np.arange(NUM_LEVELS, dtype=np.float32) * (1 / _MU) * np.float32(2) - np.float32(1)
    power = np.power(256.0, np.abs(signal).astype(np.float64)).astype(np.float32)
    units = np.array([{"-": -1, ".": 0, "+": 1}[unit] for unit in _POWER_UNITS], np.float32)
    return np.asarray(np.sign(signal) * ((1 / _MU) * (power + units * np.spacing(power) - np.float32(1))))


_SAMPLES = _table_of_samples()


def encode(samples: ArrayLike) -> NDArray[np.uint8]:
    """Return the level in 0…255 of each sample; samples outside [-1, 1] saturate."""
    x = np.asarray(samples, np.float32)
    scaled = _MU * np.minimum(np.abs(x), np.float32(1))
    magnitude = np.log1p(scaled.astype(np.float64)).astype(np.float32) / np.log1p(255.0).astype(np.float32)
    level = (np.sign(x) * magnitude + np.float32(1)) / np.float32(2) * _MU + np.float32(0.5)
    return np.asarray(level, np.uint8)


def decode(levels: ArrayLike) -> NDArray[np.float32]:
    """Return the sample in [-1, 1] of each level in 0…255; ``encode(decode(levels))`` equals ``levels``."""
    return np.asarray(_SAMPLES[np.asarray(levels)])


_LEVELS_OF_INT16 = encode(np.arange(65536, dtype=np.uint16).view(np.int16) / np.float32(32768))


def encode_int16(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return the level of each 16-bit sample: ``encode(samples / 32768)``, looked up, twenty times faster."""
    return _LEVELS_OF_INT16.take(samples.view(np.uint16))
