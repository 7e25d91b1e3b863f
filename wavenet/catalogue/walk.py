"""Find the files of a folder, in an order that depends on their names alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wavenet.audio.names import display
from wavenet.errors import InputError

HIDDEN: Final = "hidden"
SPECIAL: Final = "not a regular file"
UNREACHABLE: Final = "cannot be reached"
WALKED_BEFORE: Final = "link to a folder that is walked anyway"


@dataclass(frozen=True)
class Found:
    """A file, or a folder that is not entered, with the reason (empty: a file to look at)."""

    path: Path
    reason: str = ""
    detail: str = ""


def require_folder(source: Path) -> None:
    """Raise `InputError` where there is no folder to look for music in."""
    if not source.is_dir():
        found = "a file" if source.exists() else "nothing"
        raise InputError(f"source must be a folder of music, found {found} at '{display(source)}'")


def walk(folder: Path) -> Iterator[Found]:
    """Yield everything below ``folder`` in the order of names as bytes. Each real folder is entered once.

    Links are followed, because music libraries are made of them; a link that leads back up would otherwise be endless.
    """
    yield from _walk(folder, entered={_identity(folder.stat())})


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        paths = sorted(folder.iterdir(), key=os.fsencode)
    except OSError as error:
        yield Found(folder, UNREACHABLE, error.strerror or "")
        return
    for path in paths:
        yield from _visit(path, entered)


def _visit(path: Path, entered: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        status = path.stat()
    except OSError as error:
        yield Found(path, UNREACHABLE, "broken link" if path.is_symlink() else error.strerror or "")
        return
    if path.name.startswith("."):
        yield Found(path, HIDDEN)
    elif stat.S_ISDIR(status.st_mode):
        yield from _enter(path, _identity(status), entered)
    elif stat.S_ISREG(status.st_mode):
        yield Found(path)
    else:
        # Opening a named pipe would wait for ever.
        yield Found(path, SPECIAL)


def _enter(path: Path, identity: tuple[int, int], entered: set[tuple[int, int]]) -> Iterator[Found]:
    if identity in entered:
        yield Found(path, WALKED_BEFORE)
    else:
        entered.add(identity)
        yield from _walk(path, entered)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
