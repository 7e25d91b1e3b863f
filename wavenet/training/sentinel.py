"""A process beside a training process, which sees what that one cannot see of itself: that it hangs, or how it died.

A thread would not do. Whatever hangs, a read of a dead file server or a library's deadlock, may hold the interpreter's
lock, and then no thread of Python's runs; and what the kernel kills for its memory says nothing more. `Pulse` starts
this file as a program, with an interpreter that imports little, and gives it three descriptors:

* a board in shared memory, on which the training counts what it has done, and says how long it may be silent;
* a pipe with lines of JSON, under which names to write what; its end is the training's death;
* a file for the stacks of all threads, which `faulthandler` writes at a signal, without the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import select
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

BOARD = struct.Struct("<Qd")
"""How often there was a sign of life, and for how many seconds there may be none."""

DUMP_SIGNAL = signal.SIGRTMIN + 9
"""At which the training process writes its stacks: one that no scheduler sends."""

_TICK_SECONDS = 1.0
_DUMP_SECONDS = 2.0  # for each thread that is asked
_WRITING_SECONDS = 10.0  # where the file system is what hangs, the end may not wait for it
_MEMORY = Path("/sys/fs/cgroup")
_LOG = 1  # the standard output of a program of its own, which it has from the training: the log of the job
_LOG = 1  # the descriptor that the training process prints to: of this one nobody takes a value back


class Silence:
    """How long there has been no sign of life, in time in which this process and the other one could run.

    What is suspended, alone or with its machine, is silent for hours and does not hang.
    """

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        self._last = now
        self._count: int | None = None

    def look(self, now: float, count: int, *, is_suspended: bool, tick: float) -> float:
        """The seconds so far, given the ``count`` of signs; to be called every ``tick`` seconds."""
        passed, self._last = min(now - self._last, 2 * tick), now
        if count != self._count:
            self.seconds, self._count = 0.0, count
        elif not is_suspended:
            self.seconds += passed
        return self.seconds


class MemoryGroup:
    """The control group of process ``pid``: how many of its processes were killed for their memory, and its peak."""

    def __init__(self, pid: int, root: Path = _MEMORY) -> None:
        self._folder = _folder_of(Path(f"/proc/{pid}/cgroup"), root)
        self._root = root
        self._before = self._kills()

    def has_killed(self) -> bool:
        """Whether one was killed since this object was made."""
        return self._kills() > self._before

    def in_words(self) -> str:
        """What was used at most and may be used; empty where it is not known."""
        used = _number(self._folder / "memory.peak") or _number(self._folder / "memory.max_usage_in_bytes")
        words = f"used {_mebibytes(used)}" if used else ""
        limit = self._limit()
        return f"{words} of {_mebibytes(limit)}" if words and limit else words

    def _kills(self) -> int:
        tables = (self._folder / "memory.events", self._folder / "memory.oom_control")
        return max(_table(path).get("oom_kill", 0) for path in tables)

    def _limit(self) -> int | None:
        """The least of all groups around it, which version 1 works out itself."""
        above = [self._folder, *(folder for folder in self._folder.parents if folder.is_relative_to(self._root))]
        limits = [limit for folder in above if (limit := _number(folder / "memory.max"))]
        limits.append(_table(self._folder / "memory.stat").get("hierarchical_memory_limit", 0))
        return min((limit for limit in limits if 0 < limit < 1 << 60), default=None)


def _folder_of(table: Path, root: Path) -> Path:
    with contextlib.suppress(OSError):
        rows = [line.split(":", 2) for line in table.read_text("utf-8", "replace").splitlines()]
        for _, controllers, path in rows:
            if "memory" in controllers.split(",") and (root / "memory" / path.lstrip("/")).is_dir():
                return root / "memory" / path.lstrip("/")
        for number, _, path in rows:
            if number == "0" and (root / path.lstrip("/")).is_dir():
                return root / path.lstrip("/")
    return root


def _table(path: Path) -> dict[str, int]:
    with contextlib.suppress(OSError):
        rows = (line.split() for line in path.read_text("utf-8").splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    return {}


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text("utf-8"))
    return None


def _mebibytes(number: int) -> str:
    return f"{number / (1 << 20):,.0f} MiB"


class Sentinel:
    """Watches over process ``pid``."""

    def __init__(self, pid: int, board: int, line: int, dump: int) -> None:
        self._pid = pid
        self._board = mmap.mmap(board, BOARD.size, access=mmap.ACCESS_READ)
        self._line = line
        self._dump = dump
        self._facts: dict[str, Any] = {}
        self._memory = MemoryGroup(pid)

    def watch(self) -> None:
        """Until the training is dead, or hangs: then say so and end it. One that is over ends this process first."""
        silence = Silence(time.monotonic())
        while True:
            count, allowed = BOARD.unpack_from(self._board)
            tick = min(_TICK_SECONDS, allowed / 4)
            if select.select([self._line], [], [], tick)[0]:
                told = os.read(self._line, 1 << 16)
                if not told:
                    self._see_death()
                    return
                for line in told.splitlines():
                    self._facts.update(json.loads(line))
            seconds = silence.look(time.monotonic(), count, is_suspended=_is_suspended(self._pid), tick=tick)
            if seconds > allowed:
                self._end_hang(seconds)
                return

    def _see_death(self) -> None:
        if self._memory.has_killed():
            words = "; ".join(part for part in (self._memory.in_words(), self._facts.get("remedy", "")) if part)
            self._note("out of memory", words)
        elif self._facts.get("rank") and not self._facts.get("is_leaving"):  # of the first one its launcher says more
            self._note("crash", f"the process of rank {self._facts['rank']} was killed")

    def _end_hang(self, seconds: float) -> None:
        detail = f"no step, read or commit for {seconds:.0f} s"
        stacks = self._stacks()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGSTOP)  # should it wake up now, it may write no more
        path = self._facts.get("stacks")
        if path is not None and _in_time(lambda: _write(Path(path), f"{detail}\n\n{stacks}")):
            detail += f"; every thread's stack is in {path}"
        else:
            _say(stacks)
        self._note("hang", detail)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def _stacks(self) -> str:
        """Of all threads, written by the first of them that can be interrupted: not one that waits for a disk."""
        with contextlib.suppress(OSError):
            for thread in sorted(int(path.name) for path in Path(f"/proc/{self._pid}/task").iterdir()):
                ctypes.CDLL(None).tgkill(self._pid, thread, int(DUMP_SIGNAL))
                deadline = time.monotonic() + _DUMP_SECONDS
                size = 0
                while time.monotonic() < deadline:
                    before, size = size, os.fstat(self._dump).st_size
                    if 0 < size == before:
                        return os.pread(self._dump, size, 0).decode("utf-8", "replace")
                    time.sleep(0.02)
        return "none of its threads could be interrupted to write down where they are\n"

    def _note(self, cause: str, detail: str) -> None:
        """In the history if it is the first of its attempt's processes, else where that one looks for it."""
        _say(f"wavenet: {cause}: {detail}\n")
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        host, step = self._facts.get("host", ""), self._facts.get("step", 0)
        row = {"kind": "end", "time": now, "cause": cause, "step": step, "detail": detail, "host": host}
        if path := self._facts.get("end"):
            _in_time(lambda: _append(Path(path), f"\n{json.dumps(row)}\n"))


def _in_time(work: Callable[[], None]) -> bool:
    """Whether it was done before the time for it was over, and without an error."""
    is_done = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError):
            work()
            is_done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_WRITING_SECONDS)
    return is_done.is_set()


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _append(path: Path, text: str) -> None:
    """After a line that was cut off, if need be."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(_LOG, text.encode())


def _is_suspended(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] in "Tt"
    return False


def main() -> None:
    """Signals are the training's business; it starts this process with all of them blocked."""
    Sentinel(*map(int, sys.argv[1:])).watch()


if __name__ == "__main__":
    main()
