"""How much room checkpoints need, and how much there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """Bytes, and files and folders (each takes an inode, of which a file system or a quota may have few)."""

    num_bytes: int
    num_files: int

    def __str__(self) -> str:
        return f"{self.num_bytes:,} bytes in {self.num_files} files and folders"


def free_at(folder: Path) -> str:
    """What the file system of ``folder`` has free, in words. A quota may leave less: no call tells it everywhere."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return "how much is free there cannot be told"
    files = f" and {found.f_favail:,} files" if found.f_files else ""
    return f"the file system has {found.f_bavail * found.f_frsize:,} bytes{files} free, a quota may leave less"
