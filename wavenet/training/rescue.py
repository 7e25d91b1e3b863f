"""Save the last finished step when the running one would not end before the process is killed.

A stop is taken at the border of a step. Where the time that is left does not reach so far, a thread of its own commits
the state as the last update left it and ends the process: the step in progress is computed again by the next attempt,
to the same bits. The same holds while a validation runs, data are read or another rank is waited for.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from wavenet.errors import InterruptedRunError, WavenetError
from wavenet.training.recorder import Announce, Recorder
from wavenet.training.step import Optimizer
from wavenet.training.stopping import StopRequest

_LEAVING_SECONDS = 2.0  # from the last byte saved to the end of this process, and of what surrounds it


def seconds_to_save(notice: float, slowest_commit: float | None) -> float:
    """How long before the deadline saving has to begin, given that ``notice`` seconds were left when the stop came.

    Twice the slowest commit so far; half of the notice before the first, and never more than three quarters of it.
    """
    needed = notice / 2 if slowest_commit is None else 2 * slowest_commit + _LEAVING_SECONDS
    return min(needed, 0.75 * notice)


class Rescue:
    """Within its block a stop's deadline is kept, once `guard` has said what there is to save.

    What changes the state or writes the run's files does it while it holds `writing`. The thread that saves takes that
    right for ever: whoever asks for it afterwards waits until the process ends.
    """

    def __init__(
        self,
        stop: StopRequest,
        announce: Announce,
        leaving: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``leaving`` is called just before this process is left."""
        self._stop = stop
        self._announce = announce
        self._leaving = leaving
        self._now = now
        self._right = threading.Lock()
        self._is_over = False
        self._recorder: Recorder | None = None
        self._optimizer: Optimizer | None = None
        self._step: int | None = None
        self._thread = threading.Thread(target=self._watch, name="rescue", daemon=True)

    def __enter__(self) -> Rescue:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._right:
            self._is_over = True
        self._stop.wake()
        self._thread.join()

    def guard(self, recorder: Recorder | None, optimizer: Optimizer, step: int) -> None:
        """From now on the state after update number ``step`` is there to be saved; by other ranks than 0 it is not."""
        with self._right:
            self._recorder, self._optimizer, self._step = recorder, optimizer, step
        self._stop.wake()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write; the block is finished before anything is saved in its place."""
        with self._right:
            yield

    @contextlib.contextmanager
    def finishing(self, step: int) -> Iterator[None]:
        """Hold the right to write for the block that makes update number ``step``."""
        with self._right:
            yield
            self._step = step

    def end(self, cause: str, detail: str = "", host: str | None = None) -> None:
        """Save the last finished step and write the attempt's last row; for whoever holds the right to write."""
        if self._recorder is None or self._optimizer is None or self._step is None:
            return
        self._recorder.commit(self._step, self._optimizer)
        self._recorder.end(cause, self._step, detail, host)

    def _watch(self) -> None:
        told: str | None = None
        notice: float | None = None
        while not self._is_over:
            deadline = self._stop.deadline
            left = None if deadline is None else deadline - self._now()
            if left is not None:
                notice = left if notice is None else max(notice, left)
                left -= seconds_to_save(notice, self._recorder.slowest_commit if self._recorder else None)
                if left <= 0:
                    self._save_and_leave()
                    return
            told = self._tell(told)
            self._stop.wait(left)

    def _tell(self, told: str | None) -> str | None:
        """Write down at once why a stop was asked for: there may be no time to write an end."""
        cause = self._stop.cause
        if self._recorder is None or cause is None or cause == told:
            return told
        with contextlib.suppress(WavenetError):  # a full disk must not keep this thread from what it is there for
            self._recorder.told(cause)
        return cause

    def _save_and_leave(self) -> None:
        with self._right:
            if self._is_over:
                return
            cause, code = self._stop.cause or "crash", InterruptedRunError.exit_code
            try:
                self.end(cause, "told in the middle of a step that was longer than the time left")
                self._announce(f"told to stop ({cause}), too late to end this step; step {self._step or 0} is saved")
            except Exception as error:  # whatever it is, this process will be killed in a moment
                self._announce(f"wavenet: told to stop ({cause}), and the last step could not be saved: {error}")
                code = getattr(error, "exit_code", WavenetError.exit_code)
            self._leaving()
            self._stop.leave(code)
