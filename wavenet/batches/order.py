"""Which window comes at which place: a pure function of (seed, epoch, position), so resuming needs one integer.

An epoch visits every slot of every clip once, in an order given by a stateless permutation: a Feistel network over the
smallest even number of bits that holds the slots, walked until it lands inside (Black and Rogaway, "Ciphers with
arbitrary finite domains", CT-RSA 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavenet import seeds

_FEISTEL_ROUNDS = 4
_BLOCK = 1024
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """Targets [first_target, first_target + window) of clip number ``clip``; 0 begins inside the left padding."""

    clip: int
    first_target: int


def permuted(positions: Integers, epochs: Integers, size: int, key: int) -> Integers:
    """Images of ``positions`` under permutations of ``range(size)``, one for each epoch; all of the same shape."""
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    images = _feistel(positions, epochs, half_bits, key)
    while (outside := images >= size).any():
        images[outside] = _feistel(images[outside], epochs[outside], half_bits, key)
    return images


def _feistel(values: Integers, epochs: Integers, half_bits: int, key: int) -> Integers:
    mask = (1 << half_bits) - 1
    left, right = values >> half_bits, values & mask
    for number in range(_FEISTEL_ROUNDS):
        mixed = seeds.philox(key, right, epochs * _FEISTEL_ROUNDS + number)[..., 0].astype(np.int64) & mask
        left, right = right, left ^ mixed
    return (left << half_bits) | right


class WindowOrder:
    """The endless sequence of training windows over clips of given lengths.

    Args:
        clip_lengths: samples of each clip.
        window_samples: targets per window; a shorter clip gives one window, the rest of which does not count.
        receptive_field: of the model; decides which windows begin inside the left padding.
        padding_share: share of windows moved to a clip's beginning, in [0, 1].
        seed: of the run.

    A clip has one slot per whole window. Every epoch shifts a clip's slots by another amount, around its end, so that
    windows do not repeat; all of a window lies inside its clip.
    """

    def __init__(
        self,
        clip_lengths: Sequence[int],
        *,
        window_samples: int,
        receptive_field: int,
        padding_share: float,
        seed: int,
    ) -> None:
        lengths = np.asarray(clip_lengths, np.int64)
        self._window = window_samples
        self._starts = np.maximum(1, lengths - window_samples + 1)
        self._slots_until = np.cumsum(np.maximum(1, lengths // window_samples))
        self._padded_starts = max(1, receptive_field - window_samples + 1)
        self._padding_share = padding_share
        self._order_key, self._shift_key, self._padding_key = (
            seeds.stream_key(seed, f"windows/{name}") for name in ("order", "shift", "padding")
        )
        self._block_number = -1
        self._block: tuple[Integers, Integers] = (np.empty(0, np.int64), np.empty(0, np.int64))

    @property
    def windows_per_epoch(self) -> int:
        return int(self._slots_until[-1])

    def window(self, index: int) -> Window:
        """Window number ``index`` (≥ 0) of the whole training; its epoch is ``index // windows_per_epoch``."""
        number, place = divmod(index, _BLOCK)
        if number != self._block_number:
            # A block at a time: numpy's cost per call would otherwise outweigh a small model's training step.
            self._block = self._compute(np.arange(number * _BLOCK, (number + 1) * _BLOCK))
            self._block_number = number
        clips, first_targets = self._block
        return Window(int(clips[place]), int(first_targets[place]))

    def _compute(self, indices: Integers) -> tuple[Integers, Integers]:
        epochs, positions = np.divmod(indices, self.windows_per_epoch)
        slots = permuted(positions, epochs, self.windows_per_epoch, self._order_key)
        clips = np.searchsorted(self._slots_until, slots, side="right")
        is_padded = seeds.uniform(self._padding_key, indices, 0) < self._padding_share
        padded = _scaled(seeds.uniform(self._padding_key, indices, 1), self._padded_starts)
        starts = self._starts[clips]
        shifts = _scaled(seeds.uniform(self._shift_key, clips, epochs), starts)
        first_slots = np.concatenate([[0], self._slots_until])[clips]
        unpadded = ((slots - first_slots) * self._window + shifts) % starts
        return clips, np.where(is_padded, np.minimum(padded, starts - 1), unpadded)


def _scaled(fractions: NDArray[np.float32], sizes: Integers | int) -> Integers:
    # float64: a product with a long clip's length has more than float32's 24 bits.
    return (fractions.astype(np.float64) * sizes).astype(np.int64)
