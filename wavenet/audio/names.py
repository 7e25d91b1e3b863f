"""File names as text. A name on disk is bytes and need not be UTF-8, nor free of newlines and terminal escapes."""

from __future__ import annotations

import os
import re

_UNSAFE = re.compile("[%\udc80-\udcff]")


def printable(text: str) -> str:
    """``text`` with everything that could disturb a terminal, a log line or a UTF-8 file escaped, for reading only."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def display(path: str | os.PathLike[str]) -> str:
    r"""``path`` for messages and tables: bytes that are not UTF-8 become ``\xff``, a newline ``\n``."""
    return printable(os.fsencode(path).decode("utf-8", "backslashreplace"))


def to_text(path: str | os.PathLike[str]) -> str:
    """``path`` as valid Unicode without loss: bytes that are not UTF-8, and ``%``, become ``%`` and two digits."""
    text = os.fsencode(path).decode("utf-8", "surrogateescape")
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]) & 0xFF:02X}", text)


def from_text(text: str) -> str:
    """The path that `to_text` wrote down."""
    raw = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())
    return os.fsdecode(raw)
