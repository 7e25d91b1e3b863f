"""The wish to stop, as a flag that a signal handler may set and every loop polls."""

from __future__ import annotations

CAUSES = ("user", "preemption", "time limit", "requeue", "node failure", "crash")
"""Why an attempt ended before its run did; one word each in history, `status` and report."""


class StopRequest:
    """Set once by a signal handler, read by the loop at step borders.

    Assigning one attribute is all that happens in the handler: it may run twice within milliseconds and in the middle
    of any buffered write.
    """

    def __init__(self) -> None:
        self._cause: str | None = None

    def request(self, cause: str) -> None:
        """Ask for a stop; the first cause is kept, since a second signal is the same event arriving again."""
        if self._cause is None:
            self._cause = cause

    def settled(self, cause: str) -> str:
        """``cause`` as well as it can be known; asked when all is saved, so that finding out may take a moment."""
        return cause

    @property
    def cause(self) -> str | None:
        """Why to stop, or None while nobody asked."""
        return self._cause
