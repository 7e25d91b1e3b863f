"""Batches read ahead by one thread, so that a slow file system delays no step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_AHEAD = 2


def read_ahead(make: Callable[[int], Item], first: int, stop: int) -> Iterator[Item]:
    """Yield ``make(first)``, …, ``make(stop − 1)`` in order, computing up to two ahead in a thread.

    ``make`` is a pure function of its number, so reading ahead (and stopping early) changes nothing that is yielded.
    What ``make`` raises is raised at its turn.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="loader") as pool:
        pending = [pool.submit(make, number) for number in range(first, min(first + _AHEAD, stop))]
        try:
            for number in range(first, stop):
                item = pending.pop(0).result()
                if number + _AHEAD < stop:
                    pending.append(pool.submit(make, number + _AHEAD))
                yield item
        finally:
            for future in pending:
                future.cancel()
