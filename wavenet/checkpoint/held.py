"""A folder held by its inode, so that another folder which has got its name meanwhile is never touched.

An attempt may sleep for minutes between its entry in the ledger and the removal that the entry announces (a stopped
virtual machine, a hung mount). Meanwhile a newer attempt may have committed the same step under the same name. What is
held is what was there before the entry: files are removed and moved through the folder's descriptor, and the name goes
by rmdir alone, which refuses a folder that holds anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class HeldFolder:
    """A flat folder; see `held`. What is gone already, or refuses, is left to the next owner: no error is raised."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    def remove(self) -> None:
        """Remove the folder and its files."""
        for name in self._names():
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._descriptor)
        self._remove_name()

    def move_to(self, other: Path) -> None:
        """Move the files into the folder ``other``, which is made for them, and remove this one."""
        for name in self._names():
            with contextlib.suppress(OSError):
                other.mkdir(exist_ok=True)
                os.rename(name, other / name, src_dir_fd=self._descriptor)
        self._remove_name()

    def _names(self) -> list[str]:
        if self._descriptor is None:
            return []
        try:
            return os.listdir(self._descriptor)
        except OSError:
            return []

    def _remove_name(self) -> None:
        with contextlib.suppress(OSError):
            self.path.rmdir()


@contextlib.contextmanager
def held(path: Path) -> Iterator[HeldFolder]:
    """Hold the folder that has the name ``path`` now; one that is not there is held as an empty one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield HeldFolder(path, None)
        return
    try:
        yield HeldFolder(path, descriptor)
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
