"""Named, independent random streams from one run seed.

Every draw is a pure function of (seed, stream name, counter), computed by Philox4x32-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011). So there is no generator state to save: a resumed run or a resumed clip
continues exactly by knowing its counter.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def stream_key(seed: int, name: str) -> int:
    """Return the 64-bit key of the stream ``name`` of run seed ``seed``.

    The pair is hashed, not added: ``seed + epoch`` would make seed 1 epoch 0 equal to seed 0 epoch 1.
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def philox(key: int, low: Any, high: Any = 0) -> NDArray[np.uint32]:
    """Philox4x32-10 of each counter.

    Args:
        key: 64-bit key, e.g. of `stream_key`.
        low, high: the two 64-bit halves of the counters, integers in [0, 2^64), broadcast against each other.

    Returns:
        (..., 4) random 32-bit words, one row per counter.
    """
    low, high = np.broadcast_arrays(np.asarray(low, np.uint64), np.asarray(high, np.uint64))
    words = [low & _LOW, low >> _HALF, high & _LOW, high >> _HALF]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(_ROUNDS):
        product0, product1 = words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1]
        words = [
            (product1 >> _HALF) ^ words[1] ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _HALF) ^ words[3] ^ np.uint64(k1),
            product0 & _LOW,
        ]
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack(words, axis=-1).astype(np.uint32)


def uniform(key: int, low: Any, high: Any = 0) -> NDArray[np.float32]:
    """One uniform float32 in [0, 1) with 24 random bits per counter; arguments as in `philox`.

    24 bits, because every multiple of 2^-24 below 1 is a float32: nothing rounds up to 1.
    """
    return (philox(key, low, high)[..., 0] >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def generator(seed: int, name: str) -> np.random.Generator:
    """A numpy generator of its own for bulk draws of the stream ``name`` (initial weights, synthetic music)."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, name)))
