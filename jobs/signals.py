"""From signals to a wish to stop. A handler sets a flag and nothing else, since it may be entered at any instant."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wavenet.training.stopping import StopRequest

CAUSES = {
    signal.SIGTERM: "preemption",
    signal.SIGUSR1: "time limit",
    signal.SIGUSR2: "time limit",
    signal.SIGINT: "user",
    signal.SIGHUP: "user",
}
"""What each signal means to a training process."""


def install(stop: StopRequest) -> None:
    """Let signals ask for a stop. To be called inside the task: submitit's own handler ignores SIGTERM."""

    def handler(number: int, _frame: FrameType | None) -> None:
        stop.request(CAUSES[signal.Signals(number)])

    for number in CAUSES:
        signal.signal(number, handler)


def end_at_once() -> None:
    """Let SIGTERM and SIGINT end an array task by an exception, so that its temporary files are removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


class Interrupts:
    """How often the person at the terminal, or the system, asked this command to stop."""

    def __init__(self) -> None:
        self.count = 0

    def _add(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def counted_interrupts() -> Iterator[Interrupts]:
    """Within the block Ctrl-C, SIGTERM and a closed terminal are counted instead of ending this process."""
    interrupts = Interrupts()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupts._add) for number in numbers]
    try:
        yield interrupts
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def ignored_interrupts() -> Iterator[None]:
    """Processes started within the block never see Ctrl-C, unless they install a handler of their own.

    The terminal sends Ctrl-C to every process of the command. submitit's controller would answer by killing the task
    after one second, in the middle of saving.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
