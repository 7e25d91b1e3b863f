"""Which committed checkpoints may go."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Retention:
    """Keep the ``newest`` steps (0: all), multiples of ``every`` (0: none so) and the ``chosen`` steps for ever."""

    newest: int = 0
    every: int = 0
    chosen: Collection[int] = ()

    def superfluous(self, steps: Iterable[int]) -> list[int]:
        """Those of ``steps`` that no rule keeps, ascending."""
        ordered = sorted(steps)
        candidates = ordered[: -self.newest] if self.newest else []
        return [step for step in candidates if not self._is_kept_for_ever(step)]

    def most_at_once(self, steps: Collection[int]) -> int:
        """How many checkpoints there are at most at one time, where ``steps`` are committed among others.

        The others come when the clock says so; they count where all are kept only as far as they are in ``steps``.
        """
        if not self.newest:
            return len(steps)
        # The one that is being committed is there before the oldest of the newest goes.
        return sum(map(self._is_kept_for_ever, steps)) + self.newest + 1

    def _is_kept_for_ever(self, step: int) -> bool:
        return step in self.chosen or (self.every > 0 and step % self.every == 0)
