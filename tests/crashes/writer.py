"""What is ended: an attempt at a run that claims it, tidies up, commits checkpoints and lets old ones go."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.crashes.tracer import ALL, Traced
from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.checkpoint.retention import Retention
from wavenet.checkpoint.space import Need
from wavenet.checkpoint.state import Arrays
from wavenet.errors import WavenetError
from wavenet.run_paths import RunPaths

OWNER = Owner(host="n1", pid=1, pid_started=1)
RETENTION = Retention(newest=2, every=40)
STEPS_BETWEEN = 10
AGAIN_AT_ONCE = (0.0,)
"""One failing read is not yet damage; nothing here gets better by waiting."""
UNFORESEEN = 99
Tell = Callable[[str, object], None]


def arrays_of(step: int) -> dict[str, Arrays]:
    """A state that no other step has: some kilobytes, so that a write can be cut short."""
    draws = np.random.default_rng(step)
    return {
        "weights": {"w": draws.random((60, 20), np.float32), "b": draws.random(7, np.float32)},
        "optimizer": {"m": draws.random(1207), "v": draws.random(1207)},
    }


def attempt(run: RunPaths, tell: Tell) -> None:
    """One attempt's life as the training loop leads it; ``tell`` hears of what has been promised to be durable."""
    ledger = Ledger.claim(run, OWNER, AGAIN_AT_ONCE)
    tell("claimed", ledger.attempt)
    committed = store.recover(run, ledger, AGAIN_AT_ONCE).committed
    store.require_room(run, ledger, Need(50_000, 4))
    first = committed[-1].step if committed else 0
    for step in range(first + STEPS_BETWEEN, first + STEPS_BETWEEN * 3, STEPS_BETWEEN):
        new = store.commit(run, ledger, {"step": step, "position": step}, arrays_of(step))
        tell("committed", step)
        committed = store.retain(run, ledger, RETENTION, [*committed, new])


@dataclass
class Told:
    """What a process said before its end: that it owned the run, steps whose commit had returned, and its error."""

    has_claimed: bool = False
    committed: list[int] = field(default_factory=list)
    error: str = ""


class Writer:
    """`attempt` in a traced child, and what it says on a pipe of its own."""

    def __init__(self, run: RunPaths, folder: Path, watched: Collection[str]) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._heard = b""
        self.process = Traced(lambda: _tell_all(run, writing), folder, watched)
        os.close(writing)

    def told(self) -> Told:
        """What has been said so far."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._reading, 1 << 16):
                self._heard += piece
        told = Told()
        for line in self._heard.splitlines():
            kind, value = json.loads(line)
            if kind == "claimed":
                told.has_claimed = True
            elif kind == "committed":
                told.committed.append(value)
            else:
                told.error = value
        return told

    def close(self) -> None:
        """End the process, if it lives, and close the pipe."""
        self.process.kill()
        os.close(self._reading)


@contextlib.contextmanager
def writing(run: RunPaths, folder: Path, watched: Collection[str] = ALL) -> Iterator[Writer]:
    """A `Writer` stopped before its first system call about ``folder``; killed at the end of the block."""
    writer = Writer(run, folder, watched)
    try:
        yield writer
    finally:
        writer.close()


def _tell_all(run: RunPaths, pipe: int) -> None:
    def tell(kind: str, value: object) -> None:
        os.write(pipe, json.dumps([kind, value]).encode() + b"\n")

    try:
        attempt(run, tell)
    except WavenetError as error:
        tell("error", f"{type(error).__name__}: {error}")
        os._exit(error.exit_code)
    except BaseException:
        # Whatever is not one of the project's own errors would be a traceback before the user's eyes.
        tell("error", traceback.format_exc())
        os._exit(UNFORESEEN)
