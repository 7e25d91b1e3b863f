"""Named, independent random streams from one run seed.

Every draw is a pure function of (seed, stream name, counter), computed by Philox4x32-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011). So there is no generator state to save: a resumed run or a resumed clip
continues exactly by knowing its counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF


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
    halves = (half.ravel() for half in (low, high))
    words = philox_rounds([word for half in halves for word in split(half)], *split(key))
    return np.stack(words, axis=-1).reshape(*low.shape, 4).astype(np.uint32)


def split(number: Any) -> tuple[Any, Any]:
    """The lower and the upper 32 bits of 64."""
    return number & _LOW, number >> 32 & _LOW


def philox_rounds(words: Sequence[Any], key_low: Any, key_high: Any) -> Sequence[Any]:
    """Philox4x32-10 by plain operators, for arrays of any library.

    Args:
        words: four arrays of integers below 2^32, of a type of 64 bits whose products wrap, signed or not.
        key_low, key_high: the key's halves, numbers or arrays of that type.

    Returns:
        Four such arrays.
    """
    for _ in range(_ROUNDS):
        low0, high0 = split(words[0] * _MULTIPLIERS[0])
        low1, high1 = split(words[2] * _MULTIPLIERS[1])
        words = [high1 ^ words[1] ^ key_low, low1, high0 ^ words[3] ^ key_high, low0]
        key_low, key_high = key_low + _WEYL[0] & _LOW, key_high + _WEYL[1] & _LOW
    return words


def uniform(key: int, low: Any, high: Any = 0) -> NDArray[np.float32]:
    """One uniform float32 in [0, 1) with 24 random bits per counter; arguments as in `philox`.

    24 bits, because every multiple of 2^-24 below 1 is a float32: nothing rounds up to 1.
    """
    return (philox(key, low, high)[..., 0] >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def generator(seed: int, name: str) -> np.random.Generator:
    """A numpy generator of its own for bulk draws of the stream ``name`` (initial weights, synthetic music)."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, name)))
