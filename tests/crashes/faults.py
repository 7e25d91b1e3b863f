"""What may befall a system call."""

from __future__ import annotations

import enum
import errno

from tests.crashes.tracer import Call, Traced

_WRITES = ("write", "pwrite64")


class Fault(enum.Enum):
    """What happens to one call; the process goes on after all but the kills."""

    killed_before = "SIGKILL before the call"
    killed_after = "SIGKILL after the call"
    killed_within = "SIGKILL after half of a write"
    cut_short = "a write cut short"
    no_space = "ENOSPC"
    no_quota = "EDQUOT"
    io_error = "EIO"
    answer_lost = "EIO, though it was done"

    def can_befall(self, call: Call) -> bool:
        """Whether ``call`` can meet this fault: half of something takes something that is written."""
        if self in (Fault.killed_within, Fault.cut_short):
            return call.name in _WRITES and call.arguments[2] > 1
        return True

    def befall(self, process: Traced, call: Call) -> None:
        """Let it happen to ``call``, at whose entry ``process`` stands."""
        if self in (Fault.killed_within, Fault.cut_short):
            process.shorten(call.arguments[2] // 2)
        elif self in _ERRORS:
            process.refuse(_ERRORS[self])
        elif self is not Fault.killed_before and process.finish() is not None and self is Fault.answer_lost:
            process.answer(-errno.EIO)
        if self in KILLS:
            process.kill()


KILLS = (Fault.killed_before, Fault.killed_after, Fault.killed_within)
_ERRORS = {Fault.no_space: errno.ENOSPC, Fault.no_quota: errno.EDQUOT, Fault.io_error: errno.EIO}
