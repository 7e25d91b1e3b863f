"""The hours that all attempts of a run may take together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from wavenet.errors import HoursUsedError

CAUSE = "hours used up"


@dataclass(frozen=True)
class Hours:
    """``most`` hours in all, 0 for no limit, of which the attempts before this one took ``used_seconds``.

    This one ``began`` at that reading of the clock ``now``.
    """

    most: float
    used_seconds: float
    began: float
    now: Callable[[], float] = time.monotonic

    def cause(self) -> str | None:
        """Why to stop, if they are over; asked at every step."""
        is_over = self.most and self.used_seconds + self.now() - self.began >= 3600 * self.most
        return CAUSE if is_over else None


def used_up(most: float, run: str, step: int) -> HoursUsedError:
    """To be raised when they are over."""
    return HoursUsedError(
        f"the attempts of the run {run!r} may take training.max_hours={most:g} together, and have; step {step} is "
        f"saved, and the same command with more hours goes on"
    )
