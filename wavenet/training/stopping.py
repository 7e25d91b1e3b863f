"""The wish to stop, as something that a signal handler may set, every loop polls and a thread may wait for."""

from __future__ import annotations

import contextlib
import os
import queue
from typing import NoReturn

CAUSES = ("user", "preemption", "time limit", "requeue", "node failure", "crash", "hours used up")
"""Why an attempt ended before its run did; one word each in history, `status` and report."""


class StopRequest:
    """Set once, read by the loop at step borders.

    A deadline is a reading of the monotonic clock. Whoever gives one allows that this process is ended in the middle of
    a step that would take longer, with the step before it saved.
    """

    def __init__(self) -> None:
        self._cause: str | None = None
        self._deadline: float | None = None
        # The one kind of queue whose `put` may be called in a signal handler, which may interrupt another `put`.
        self._changes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def request(self, cause: str, deadline: float | None = None) -> None:
        """Ask for a stop; the first cause is kept, since a second signal is the same event arriving again.

        It may say that less time is left than the first one said, never more.
        """
        if self._cause is None:
            self._cause = cause
        if deadline is not None:
            self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)
        self._changes.put(None)

    def correct(self, cause: str, deadline: float | None) -> None:
        """Put what has been found out about a request in the place of what its signal seemed to say."""
        self._cause, self._deadline = cause, deadline
        self._changes.put(None)

    def wait(self, seconds: float | None = None) -> None:
        """Return when something about the wish may have changed, or after so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._changes.get(timeout=None if seconds is None else max(0.0, seconds))

    def wake(self) -> None:
        """Let `wait` return."""
        self._changes.put(None)

    def settled(self, cause: str) -> str:
        """``cause`` as well as it can be known; asked when all is saved, so that finding out may take a moment."""
        return cause

    def leave(self, exit_code: int) -> NoReturn:
        """End this process at once, whatever its other threads are doing; called when a deadline is near."""
        os._exit(exit_code)

    def poll(self) -> str | None:
        """The cause, if any; what the loop asks once in each step, when it has computed the gradients."""
        return self.cause

    @property
    def cause(self) -> str | None:
        """Why to stop, or None while nobody asked."""
        return self._cause

    @property
    def deadline(self) -> float | None:
        """When this process will be killed, or None where it is given all the time it needs."""
        return self._deadline
