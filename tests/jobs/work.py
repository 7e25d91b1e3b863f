"""Work for array tasks: pickled by value, since a task's process cannot import the tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from wavenet.errors import InputError
from wavenet.progress import Progress


def doubled(number: int, progress: Progress) -> int:
    for done in range(1, 4):
        progress(done, 3)
    return 2 * number


def refused(progress: Progress) -> None:
    raise InputError("the file 'x' must be music")


def killed_once(marker: Path, progress: Progress) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def crashed(progress: Progress) -> None:
    raise ZeroDivisionError("of all things")


def counted(folder: Path, number: int, progress: Progress) -> int:
    """How many of its kind were alive at the same time."""
    mine = folder / str(number)
    mine.touch()
    time.sleep(0.5)
    alive = len(list(folder.iterdir()))
    mine.unlink()
    return alive


def slow(marker: Path, progress: Progress) -> None:
    marker.touch()
    try:
        time.sleep(60)
    finally:
        marker.with_suffix(".tidied").touch()
