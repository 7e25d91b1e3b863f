"""Fields of configuration dataclasses that carry their own one-line help, shown by ``wavenet VERB --help``."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

T = TypeVar("T")


def key(default: T, meaning: str) -> T:
    """A dataclass field with a default and, in its metadata under ``help``, what the key means to a user.

    Tuples are fine as defaults; the declared type is that of the default, so a checker sees a plain assignment.
    """
    specification: T = field(default=default, metadata={"help": meaning})  # dataclass() puts the default in its place
    return specification
