"""Which clips each task makes, how many tasks and threads there are, and how long it will take: the plan, in words."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from jobs.terminal import duration, plural
from wavenet.generation.estimate import Pace, units
from wavenet.generation.requests import ClipRequest

Pack = tuple[ClipRequest, ...]
"""What one array task makes: clips of one checkpoint."""

_START_SECONDS = 1.0
"""Of a task, until it draws."""


def packed(requests: Sequence[ClipRequest], pairs_per_task: int, num_cores: int = 1) -> list[Pack]:
    """The clips of each array task: those of so many pairs of genre and checkpoint.

    A pair is never divided, and checkpoints do not share a task: each would have to be read.

    Args:
        requests: as `make_plan` orders them, by checkpoint and class.
        pairs_per_task: at most; 0: all of a checkpoint, or such a part of them that all cores work till the end.
        num_cores: tasks that run at once on this machine; 1 where a scheduler has room for whatever there is.
    """
    checkpoints = [
        [tuple(pair) for _, pair in groupby(of_checkpoint, lambda request: request.class_id)]
        for _, of_checkpoint in groupby(requests, lambda request: request.step)
    ]
    if pairs_per_task:
        return [
            sum(pairs[first : first + pairs_per_task], ())
            for pairs in checkpoints
            for first in range(0, len(pairs), pairs_per_task)
        ]
    most = max(map(len, checkpoints), default=1) if num_cores > 1 else 1
    divided = [[pack for pairs in checkpoints for pack in _parts(pairs, number)] for number in range(1, most + 1)]
    return min(divided, key=lambda packs: (last_end([units(pack) for pack in packs], num_cores), len(packs)))


def _parts(pairs: Sequence[Pack], number: int) -> list[Pack]:
    """The pairs in ``number`` parts, or as many as there are pairs, which differ by one pair at most."""
    number = min(number, len(pairs))
    bounds = [len(pairs) * part // number for part in range(number + 1)]
    return [sum(pairs[bounds[part] : bounds[part + 1]], ()) for part in range(number)]


def last_end(durations: Sequence[float], at_once: int) -> float:
    """When the last of some tasks ends, if the next one begins whenever fewer than ``at_once`` are running."""
    ends = [0.0] * max(1, min(at_once, len(durations)))
    for taken in durations:
        heapq.heapreplace(ends, ends[0] + taken)
    return max(ends)


def describe(pack: Sequence[ClipRequest]) -> str:
    """A pack for messages; different for each of a plan."""
    names = list(dict.fromkeys(request.class_name for request in pack))
    return f"step {pack[0].step}: {names[0]}" + (f" and {len(names) - 1} others" if len(names) > 1 else "")


@dataclass(frozen=True)
class Plan:
    """Packs, of which ``at_once`` are made at the same time with so many threads each."""

    packs: Sequence[Pack]
    at_once: int
    threads: int

    def in_words(self, pace: Pace | None) -> str:
        """All that is worth knowing before it begins, with the time that it will take at this pace."""
        requests = [request for pack in self.packs for request in pack]
        pairs = {(request.step, request.class_id) for request in requests}
        tasks = plural(len(self.packs), "task")
        parallel = f", {min(self.at_once, len(self.packs))} at once" if len(self.packs) > 1 else ""
        threads = f" with {self.threads} threads each" if self.threads > 1 else ""
        seconds = sum(request.seconds for request in requests)
        work = f"{plural(len(pairs), 'pair')}, {plural(len(requests), 'clip')}, {duration(seconds)} of audio"
        return f"plan: {tasks}{parallel}{threads}, {work}; {self._expected(pace)}"

    def _expected(self, pace: Pace | None) -> str:
        if pace is None:
            return "how long that takes is not known before a clip of this run was made"
        each = [_START_SECONDS + pace.seconds(pack, self.threads) for pack in self.packs]
        return f"about {duration(last_end(each, self.at_once))}, as {pace.source}"
