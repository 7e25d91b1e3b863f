"""How an attempt spends its time, as its history tells it: what came before the first step, and what since."""

from __future__ import annotations

import time
from collections.abc import Callable

PARTS = ("steps", "validation", "commits")


class Stopwatch:
    """Runs from the moment at which a training process has all that it needs in memory but data and weights.

    Args:
        began: when its job or process began, by the same clock; None where nobody knows.
        now: a clock in seconds that never goes back.
    """

    def __init__(self, began: float | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entered = now()
        self._ready = self._entered
        self._has_stepped = False
        self._spent = dict.fromkeys(PARTS, 0.0)
        self.began = self._entered if began is None else min(began, self._entered)

    def start(self) -> dict[str, float]:
        """How long it took to come to this stopwatch, and to this moment."""
        startup, age = self._entered - self.began, self._now() - self.began
        return {"startup_seconds": round(startup, 3), "age_seconds": round(age, 3)}

    def ready(self) -> dict[str, float]:
        """Data and weights are there, and the first step begins."""
        self._ready = self._now()
        return {"loading_seconds": round(self._ready - self._entered, 3)}

    def add(self, part: str, seconds: float) -> dict[str, object]:
        """Count ``seconds`` to one of `PARTS`, and tell what all of them have taken so far."""
        self._spent[part] += seconds
        return self.facts()

    def facts(self) -> dict[str, object]:
        """What each of `PARTS` has taken so far."""
        return {"spent": {part: round(seconds, 3) for part, seconds in self._spent.items()}}

    def first_step(self) -> dict[str, float]:
        """Once, when the first step is made: how long after `ready` that was."""
        if self._has_stepped:
            return {}
        self._has_stepped = True
        return {"first_step_seconds": round(self._now() - self._ready, 3)}
