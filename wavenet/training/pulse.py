"""The training's sign of life, which a process beside it watches: see `wavenet.training.sentinel`."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import mmap
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from wavenet.training import sentinel

_STEPS_KNOWN = 101  # whose median is the usual step
_START_SECONDS = 1200.0  # until a step is done nobody knows how long one takes, and a cold disk is slow
_COUNT, _ALLOWED = slice(0, 8), slice(8, 16)


class Pulse:
    """Within its block this process is ended if it shows no sign of life for too long, its stacks written down.

    Too long is ``seconds``, or ``steps`` times the usual step if that is more; at least 20 minutes before the first
    step is done. A sign of life is a step, a micro-batch read or computed, a batch validated, a commit, and each part
    of the beginning.

    Args:
        seconds: 0 watches for nothing of the kind; what kills the process is written down all the same.
    """

    def __init__(self, seconds: float, steps: float) -> None:
        self._least = seconds or float("inf")
        self._steps = steps
        self._known: deque[float] = deque(maxlen=_STEPS_KNOWN)
        self._count = 0
        self._allowed = max(self._least, _START_SECONDS)
        self._ends = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pulse:
        with self._ends as ends:
            board = ends.enter_context(_unnamed_file())
            board.truncate(sentinel.BOARD.size)
            self._board = ends.enter_context(mmap.mmap(board.fileno(), sentinel.BOARD.size))
            self._allow(self._allowed)
            dump = ends.enter_context(_unnamed_file())
            faulthandler.register(sentinel.DUMP_SIGNAL, dump, all_threads=True)
            ends.callback(faulthandler.unregister, sentinel.DUMP_SIGNAL)
            reader, self._line = os.pipe()
            try:
                self._process = _start(board.fileno(), reader, dump.fileno())
            finally:
                os.close(reader)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:  # before the pipe: this is no death
            self._process.kill()
            self._process.wait()
        os.close(self._line)
        self._ends.close()

    def beat(self) -> None:
        """Something has been done; any thread may say so."""
        self._count += 1
        self._board[_COUNT] = self._count.to_bytes(8, sys.byteorder)

    def step(self, seconds: float) -> None:
        """A step is done that took so long."""
        self._known.append(seconds)
        self._allowed = max(self._least, self._steps * statistics.median(self._known))
        self._allow(self._allowed)
        self.beat()

    @contextlib.contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """The block waits for another process, which may take ``seconds`` before it ends by itself: no hang of ours."""
        self.beat()
        self._allow(self._allowed + 2 * seconds)
        try:
            yield
        finally:
            self.beat()
            self._allow(self._allowed)

    def tell(self, **facts: Any) -> None:
        """What the sentinel needs for what it may have to write: see there."""
        with contextlib.suppress(OSError):  # it is gone; nobody watches, and the training goes on
            os.write(self._line, json.dumps(facts).encode() + b"\n")

    def _allow(self, seconds: float) -> None:
        self._board[_ALLOWED] = sentinel.BOARD.pack(0, seconds)[_ALLOWED]


def _unnamed_file() -> IO[bytes]:
    """In memory, where the system can: no disk that hangs shall keep the stacks from being written."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("wavenet"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _start(*descriptors: int) -> subprocess.Popen[bytes]:
    """The sentinel, deaf to what schedulers and terminals send: it ends with the training, not before."""
    everything = signal.valid_signals() - {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    try:
        words = [sys.executable, "-I", "-S", str(Path(sentinel.__file__)), str(os.getpid()), *map(str, descriptors)]
        return subprocess.Popen(words, pass_fds=descriptors, stdin=subprocess.DEVNULL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
