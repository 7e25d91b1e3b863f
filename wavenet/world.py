"""Which of how many: a process among its ranks, a worker among its array."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """Rank ``rank`` of ``size`` equal workers. A plain value, so that tests pass numbers and start no process."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank must be in [0, size), got rank {self.rank} of size {self.size}")

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, num_items: int) -> range:
        """Indices i of ``range(num_items)`` with i mod size = rank: this worker's part of a plan."""
        return range(self.rank, num_items, self.size)
