"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), vectorised: 6 MB take hundredths of a second, not seconds.

The bytes are cut into equal lanes whose registers run side by side. Without the customary inversion the register is
linear in the message, so two neighbouring lanes join by moving the left one past the right one's length.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_LANE_BYTES = 64
_ZERO = np.zeros(1, np.uint8)
Words = NDArray[np.uint32]


def _byte_table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return table


_TABLE = _byte_table()


def _absorb(registers: Words, column: NDArray[np.uint8]) -> Words:
    """One more byte per register."""
    return np.asarray((registers >> np.uint32(8)) ^ _TABLE[(registers ^ column) & np.uint32(0xFF)])


@cache
def _past(power: int) -> Words:
    """What moving past 2^power lanes makes of every value of each of a register's four bytes: (4, 256)."""
    bytes_alone = np.arange(256, dtype=np.uint32) << (np.uint32(8) * np.arange(4, dtype=np.uint32)[:, np.newaxis])
    if power:
        return _move(_move(bytes_alone, power - 1), power - 1)
    for _ in range(_LANE_BYTES):
        bytes_alone = _absorb(bytes_alone, _ZERO)
    return bytes_alone


def _move(registers: Words, power: int) -> Words:
    """The registers after 2^power more lanes of zeros."""
    tables = _past(power)
    parts = [tables[byte][(registers >> np.uint32(8 * byte)) & np.uint32(0xFF)] for byte in range(4)]
    return np.asarray(parts[0] ^ parts[1] ^ parts[2] ^ parts[3])


def crc32c(data: bytes) -> int:
    """CRC-32C of ``data``."""
    if len(data) < 4:
        return _short(data)
    num_lanes = 1 << ((len(data) - 1) // _LANE_BYTES).bit_length()
    lanes = np.zeros(num_lanes * _LANE_BYTES, np.uint8)
    # Leading zeros leave a register at zero, so the message may stand at the end of any number of lanes.
    lanes[lanes.size - len(data) :] = np.frombuffer(data, np.uint8)
    # A register that starts with all ones is one that starts with zero and meets the first four bytes inverted.
    start = lanes.size - len(data)
    lanes[start : start + 4] ^= 0xFF
    by_lane = lanes.reshape(num_lanes, _LANE_BYTES)
    registers = np.zeros(num_lanes, np.uint32)
    for index in range(_LANE_BYTES):
        registers = _absorb(registers, by_lane[:, index])
    for power in range(num_lanes.bit_length() - 1):
        registers = _move(registers[0::2], power) ^ registers[1::2]
    return int(registers[0]) ^ 0xFFFFFFFF


def _short(data: bytes) -> int:
    register = np.full(1, 0xFFFFFFFF, np.uint32)
    for byte in data:
        register = _absorb(register, np.array([byte], np.uint8))
    return int(register[0]) ^ 0xFFFFFFFF
