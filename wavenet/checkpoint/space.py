"""How much room checkpoints need, how much there is, and whether they would get it.

A file system tells what it has free and not what a user's, a group's or a project's quota leaves of it; no call tells
that on every file system. So the room is taken for a moment: what a quota refuses is refused then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from wavenet import durable
from wavenet.errors import StorageError

_BESIDE_ARRAYS_BYTES = 16 << 10
"""Room for names and shapes in a group's file, or for checkpoint.json."""

_MOST_FILES_MADE = 100


@dataclass(frozen=True)
class Need:
    """Bytes, and files and folders: each takes an inode, of which a file system or a quota may have few."""

    num_bytes: int
    num_files: int

    def __str__(self) -> str:
        return f"{self.num_bytes:,} bytes in {self.num_files:,} files and folders"

    def times(self, count: int) -> Need:
        """What ``count`` such take."""
        return Need(self.num_bytes * count, self.num_files * count)


def need_of(group_bytes: Collection[int]) -> Need:
    """What one checkpoint takes at most whose groups of arrays have ``group_bytes``.

    A file for each group, checkpoint.json, their folder and an entry of the ledger.
    """
    return Need(sum(group_bytes) + _BESIDE_ARRAYS_BYTES * (len(group_bytes) + 1), len(group_bytes) + 3)


def require_room(folder: Path, need: Need) -> None:
    """Make sure that ``need`` can be written; ``folder`` is made for a moment beside what will be written.

    All bytes are reserved, and up to 100 files made. Where a file system reserves nothing (NFS before 4.2, ZFS), a
    quota is not noticed here but at the commit that it refuses.

    Raises:
        StorageError: there is too little, in one sentence with what is needed and what is free.
    """
    durable.make_folder(folder)
    try:
        with durable.storage_errors(folder.parent):
            _take(folder, need)
            found = os.statvfs(folder)
            if found.f_files and found.f_favail < need.num_files - _MOST_FILES_MADE:
                raise OSError(errno.ENOSPC, "too few inodes")
    except StorageError as error:
        durable.remove_folder(folder)
        raise StorageError(f"{error} (the checkpoints to come need {need}; {free_at(folder.parent, need)})") from error
    finally:
        durable.remove_folder(folder)


def _take(folder: Path, need: Need) -> None:
    for number in range(min(need.num_files, _MOST_FILES_MADE)):
        (folder / str(number)).touch()
    with (folder / "bytes").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, need.num_bytes))


def free_at(folder: Path, need: Need) -> str:
    """What the file system of ``folder`` has free, in words, and which part of ``need`` that is too little for."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return "how much is free there cannot be told"
    num_bytes = found.f_bavail * found.f_frsize
    # A file system without a fixed number of inodes tells 0 of them.
    files = f" and {found.f_favail:,} files" if found.f_files else ""
    short = [
        *(["bytes"] if num_bytes < need.num_bytes else []),
        *(["files"] if found.f_files and found.f_favail < need.num_files else []),
    ]
    conclusion = f"too few {' and '.join(short)}" if short else "a quota may leave less"
    return f"the file system has {num_bytes:,} bytes{files} free, {conclusion}"
