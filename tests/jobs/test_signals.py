"""A signal is learnt of while the main thread is busy with something that no handler of Python's can interrupt."""

from __future__ import annotations

import signal
import subprocess
import sys

# One operation of torch that takes many seconds. The thread that learns of the signals ends the process at the last.
BUSY = """
import os, signal, torch
from jobs import signals

def hear(numbers):
    print(*(signal.Signals(number).name for number in numbers), flush=True)
    if signal.SIGTERM in numbers:
        os._exit(75)

signals.install([signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2], hear)
torch.set_num_threads(1)
matrix = torch.ones(8_000, 8_000)
print("busy", flush=True)
matrix @ matrix
print("done", flush=True)
"""


def test_signals_are_learnt_of_in_the_middle_of_one_long_operation() -> None:
    """Handlers would have run after it, when "done" is said."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            assert process.stdout.readline() == f"{number.name}\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "SIGTERM\n"
        assert process.wait(timeout=120) == 75
