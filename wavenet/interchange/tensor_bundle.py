"""Read the variables of a TensorFlow checkpoint (version 2, "tensor bundle") with numpy alone.

``PREFIX.index`` is a LevelDB table without compression: its last 48 bytes point to an index block, that to data
blocks, and those map each variable's name to a small protocol buffer (BundleEntryProto of tensor_bundle.proto: 1 type,
2 shape, 3 data file, 4 offset, 5 size, 6 CRC-32C). ``PREFIX.data-00000-of-00001`` holds the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.audio.names import display
from wavenet.errors import InputError
from wavenet.interchange.crc32c import crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_BLOCK_TRAILER_BYTES = 5
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}


@dataclass(frozen=True)
class _Entry:
    """Where a variable lies."""

    type: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def read_bundle(prefix: Path) -> dict[str, NDArray[Any]]:
    """All variables of the checkpoint ``prefix`` (``model.ckpt-50`` for ``model.ckpt-50.index``) by name.

    Raises:
        InputError: a file is missing, cut short or altered, or of a kind that this reader does not know.
    """
    index_path, data_path = (prefix.with_name(prefix.name + end) for end in (".index", ".data-00000-of-00001"))
    index, data = _read(index_path), _read(data_path)
    try:
        entries = {key.decode(): _parse_entry(value) for key, value in _table(index, index_path) if key}
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise InputError(f"{display(index_path)} is damaged: it is not a table of variables") from error
    return {name: _tensor(name, entry, data, data_path) for name, entry in entries.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"a TensorFlow checkpoint consists of .index and .data-00000-of-00001; {display(path)} cannot be read: "
            f"{error.strerror}"
        ) from error


def _table(content: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table."""
    if len(content) < _FOOTER_BYTES or struct.unpack("<Q", content[-8:])[0] != _MAGIC:
        raise InputError(f"{display(path)} is not the index of a TensorFlow checkpoint, or it is cut short")
    footer = content[-_FOOTER_BYTES:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    for _, handle in _block(content, footer[at:], path):
        yield from _block(content, handle, path)


def _block(content: bytes, handle: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; each key repeats a part of the one before it."""
    start, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    block, trailer = content[start : start + size], content[start + size : start + size + _BLOCK_TRAILER_BYTES]
    if (
        len(trailer) < _BLOCK_TRAILER_BYTES
        or _masked(crc32c(block + trailer[:1])) != struct.unpack("<I", trailer[1:])[0]
    ):
        raise InputError(f"{display(path)} is damaged: a block's checksum is wrong")
    if trailer[0]:
        raise InputError(f"{display(path)} is compressed, which TensorFlow's own checkpoints never are")
    end = size - 4 - 4 * int(struct.unpack("<I", block[-4:])[0])
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits a byte, lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of every field of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        value: Any
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 5:
            value, at = struct.unpack_from("<I", message, at)[0], at + 4
        elif wire == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        else:
            raise IndexError(f"wire type {wire}")
        yield tag >> 3, value


def _parse_entry(message: bytes) -> _Entry:
    fields = dict(_fields(message))
    sizes = tuple(dict(_fields(value)).get(1, 0) for number, value in _fields(fields.get(2, b"")) if number == 2)
    return _Entry(fields.get(1, 0), sizes, fields.get(3, 0), fields.get(4, 0), fields.get(5, 0), fields.get(6, 0))


def _tensor(name: str, entry: _Entry, data: bytes, path: Path) -> NDArray[Any]:
    dtype = _TYPES.get(entry.type)
    if dtype is None or entry.shard:
        raise InputError(f"the variable {name!r} of {display(path)} is of a type or in a file that is not supported")
    raw = data[entry.offset : entry.offset + entry.size]
    if len(raw) < entry.size:
        raise InputError(f"{display(path)} is cut short: the variable {name!r} reaches beyond its end")
    if _masked(crc32c(raw)) != entry.crc:
        raise InputError(f"{display(path)} is damaged: the checksum of the variable {name!r} is wrong")
    if entry.size != dtype.itemsize * int(np.prod(entry.shape)):
        raise InputError(f"{display(path)} is damaged: the variable {name!r} does not fill its shape {entry.shape}")
    values: NDArray[Any] = np.frombuffer(raw, dtype).reshape(entry.shape)
    return values


def _masked(crc: int) -> int:
    """A stored checksum is rotated and offset, so that a checksum over data that holds checksums stays strong."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
