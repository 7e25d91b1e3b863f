"""Cut the power at every change that attempts make, and judge what a disk may hold then."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator

from tests.crashes.campaigns import NAME, Result, scratch
from tests.crashes.disk import Disk, Loss
from tests.crashes.judge import violations
from tests.crashes.tracer import CHANGES, Call
from tests.crashes.writer import Writer, writing
from wavenet.run_paths import RunPaths

LOSSES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.9, 0.5))
"""Probabilities that a pending change of names, and a pending write, are on the disk: the corners and between them."""
NUM_CHANGES = 60
"""About as many as an attempt makes."""

Skips = Callable[[Call], bool]
"""Whether an fsync is taken out: the process makes it, the disk does not hear of it."""


class Recorder:
    """Tells a disk what a writer does, change by change."""

    def __init__(self, disk: Disk, writer: Writer, skips: Skips) -> None:
        self._disk = disk
        self._writer = writer
        self._skips = skips

    def changes(self) -> Iterator[Call]:
        """Each change after it was made and the disk was told."""
        process = self._writer.process
        while (call := process.next_call()) is not None:
            if not call.is_change:
                continue
            is_write = call.name == "write"
            position = process.position(call.arguments[0]) if is_write else 0
            result = process.finish()
            if result is not None and result >= 0:
                data = process.memory(call.arguments[1], result) if is_write else b""
                self._tell(call, position, data)
                yield call

    def _tell(self, call: Call, position: int, data: bytes) -> None:
        disk, paths = self._disk, call.paths
        if call.name == "openat":
            disk.create(paths[0], truncate=bool(call.arguments[2] & os.O_TRUNC))
        elif call.name == "write":
            disk.node(paths[0]).write(position, data)
        elif call.name == "fallocate":
            disk.node(paths[0]).write(call.arguments[2] + call.arguments[3], b"")
        elif call.name == "fsync":
            if not self._skips(call):
                disk.sync(paths[0])
        elif call.name == "mkdir":
            disk.make_folder(paths[0])
        elif call.name in ("rmdir", "unlink", "unlinkat"):
            disk.remove(paths[0])
        elif call.name in ("rename", "renameat"):
            disk.rename(*paths)
        elif call.name == "link":
            disk.link(*paths)
        else:
            raise NotImplementedError(f"the disk does not know what {call.name} does")


def cut_power(stride: int = 1, seed: int = 0, skips: Skips = lambda call: False) -> Result:
    """Attempts at one run, the first of them killed; the power fails after every ``stride``-th change of theirs.

    Args:
        seed: decides at which change the first attempt dies, and what the disk has of what is not durable.
        skips: chooses the fsyncs to take out.
    """
    result = Result()
    draws = random.Random(seed)
    with scratch() as folder:
        place, after = folder / "disk", folder / "after"
        place.mkdir()
        disk, run = Disk(place), RunPaths(place / NAME)
        promised: set[int] = set()
        number = 0
        for last_change in (draws.randrange(NUM_CHANGES), None, None):
            with writing(run, place, CHANGES) as writer:
                for call in itertools.islice(Recorder(disk, writer, skips).changes(), last_change):
                    number += 1
                    if number % stride == 0:
                        disk.lose_power(after, Loss(*draws.choice(LOSSES), draws))
                        so_far = promised | set(writer.told().committed)
                        result.note("power failure", call, violations(RunPaths(after / NAME), so_far))
                        shutil.rmtree(after)
                promised |= set(writer.told().committed)
    return result
