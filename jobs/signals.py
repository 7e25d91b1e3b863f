"""From signals to a wish to stop: a thread learns of them at once, whatever the main thread is computing.

Python runs a signal's handler between two instructions of the main thread, and one instruction may be an operation of
torch that takes seconds. The interpreter's own handler writes the signal's number to a descriptor before that.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

Hear = Callable[[bytes], None]
"""Takes the numbers of signals that have just come, one byte each."""


def install(numbers: Iterable[signal.Signals], hear: Hear) -> None:
    """From now on the signals are told to ``hear``, in a thread, and do nothing else.

    To be called in the main thread, inside the task: submitit's own handler ignores SIGTERM.
    """
    wanted = frozenset(numbers)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, writer, wanted, hear), name="signals", daemon=True).start()
    for number in wanted:
        signal.signal(number, _nothing)


def _watch(reader: socket.socket, _writer: socket.socket, wanted: frozenset[int], hear: Hear) -> None:
    # The descriptor tells of every signal that has a handler: of SIGCONT too, for which submitit has one.
    while numbers := reader.recv(4096):
        if heard := bytes(number for number in numbers if number in wanted):
            hear(heard)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Without a handler of Python's the signal would not be written to the descriptor."""


def end_at_once() -> None:
    """Let SIGTERM and SIGINT end an array task by one exception, so that it saves and its temporary files are removed.

    One: launchers and schedulers repeat themselves, and a second exception would cut the saving short.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def handler(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, handler)


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
