"""What a person sees while something runs: one line that changes on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from wavenet.progress import Progress

STEP_LINE = re.compile(r"step (\d+) - loss = ([0-9.]+|nan|inf), \(([0-9.]+) sec/step\)")
"""The reference program's line for a step, which scripts that were written for it read."""

_REDRAW_SECONDS = 0.1
_LOG_SECONDS = 30.0  # between lines of progress where nothing can be redrawn


class Display:
    """Lines to standard output, with one line of progress below them where that is a terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._is_dirty = False
        self._last = -1e9

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(text.encode("utf-8", "backslashreplace").decode(), flush=True)

    def show(self, text: str, is_last: bool = False) -> None:
        """Show how far it is: redrawn in place on a terminal, now and then a line in a log."""
        now = time.monotonic()
        if not is_last and now - self._last < (_REDRAW_SECONDS if self._is_terminal else _LOG_SECONDS):
            return
        self._last = now
        if not self._is_terminal:
            print(text, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write(f"\r\x1b[K{text[:width]}")
        sys.stdout.flush()
        self._is_dirty = True

    def begin(self) -> None:
        """Something begins whose progress will be shown: a log's first line of it can wait like the others."""
        self._last = -1e9 if self._is_terminal else time.monotonic()

    def end(self) -> None:
        """Leave the line of progress as it is and go on below it."""
        if self._is_dirty:
            print(flush=True)
        self._is_dirty = False

    def _clear(self) -> None:
        if self._is_dirty:
            sys.stdout.write("\r\x1b[K")
            self._is_dirty = False

    def progress(self, label: str) -> Progress:
        """A `Progress` shown as ``label 12/40 (30 %)``."""
        started = time.monotonic()
        self.begin()

        def report(done: int, total: int) -> None:
            left = _left(started, done, total) if self._is_terminal else ""
            self.show(f"{label} {fraction(done, total)}{left}", is_last=done >= total)

        return report

    def training(self, line: str, num_steps: int) -> None:
        """Show a line of a training log: steps in place on a terminal, everything as it is in a log."""
        step = STEP_LINE.match(line)
        if step is None or not self._is_terminal:
            self.line(line)
            return
        done, loss, seconds = int(step[1]), step[2], float(step[3])
        left = duration((num_steps - done) * seconds)
        self.show(f"step {fraction(done, num_steps)} - loss = {loss}, ({seconds:.3f} sec/step), {left} left")


def fraction(done: int, total: int) -> str:
    """``12/40 (30 %)``."""
    return f"{done}/{total} ({100 * done // total if total else 100} %)"


def plural(count: int, noun: str) -> str:
    """``1 clip``, ``2 clips``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def expected(elapsed_seconds: float, share: float) -> str:
    """``0:40 left, until 14:03:20`` where so much is done after so long; nothing where that says nothing yet."""
    if not 0.01 < share < 1 or elapsed_seconds < 1:
        return ""
    left = elapsed_seconds * (1 - share) / share
    end = datetime.now(timezone.utc).astimezone() + timedelta(seconds=left)
    return f"{duration(left)} left, until {end:%H:%M:%S}"


def _left(started: float, done: int, total: int) -> str:
    if not 0 < done < total:
        return ""
    return f", {duration((time.monotonic() - started) / done * (total - done))} left"


class Follower:
    """Reads the lines that another process adds to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""

    def skip(self) -> None:
        """Leave out what is there already."""
        with contextlib.suppress(FileNotFoundError):
            self._position = self._path.stat().st_size

    def lines(self) -> list[str]:
        """Complete lines since the last call; none while the file does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                added = file.read()
        except FileNotFoundError:
            return []
        self._position += len(added)
        *complete, self._rest = (self._rest + added).split(b"\n")
        return [line.decode("utf-8", "replace") for line in complete]
