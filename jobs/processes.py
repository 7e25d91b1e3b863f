"""Facts about processes of this machine, read from /proc."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STARTED_FIELD = 22 - 3  # after pid and the name in brackets, which may itself hold brackets and spaces


def started_tick(pid: int) -> int | None:
    """When process ``pid`` started, in the kernel's ticks since boot; None when there is no such process.

    A number that is used again after its process died comes with another start.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[_STARTED_FIELD])


def age_seconds() -> float:
    """How long ago this process was started, as a program of its own or as a copy of its parent; 0 where none knows."""
    tick = started_tick(os.getpid())
    if tick is None:
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - tick / os.sysconf("SC_CLK_TCK"))


def children(pid: int) -> list[int]:
    """Processes that ``pid`` started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return sorted(found)
