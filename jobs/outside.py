"""Slurm's commands for a program in a container, which has none: the batch script outside runs them for it.

A question is a file in a folder of the submission, with a word of the command on each line. The name of the file,
written to the pipe ``bell``, calls the script; it leaves what the command prints and, last, its exit code beside it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, command: Sequence[str], seconds: float) -> Answer | None:
    """What ``command`` says outside, where it is let: what changes nothing; None without an answer in ``seconds``.

    Only the first node of a job has its batch script. To processes elsewhere nobody listens, which shows at once where
    nodes have kernels of their own.
    """
    question = folder / os.urandom(8).hex()
    try:
        question.write_text("".join(f"{word}\n" for word in command), "utf-8")
        _ring(folder / "bell", question.name)
        return _answer(question, time.monotonic() + seconds)
    except OSError:
        return None
    finally:
        for kind in ("", "out", "err", "code"):
            with contextlib.suppress(OSError):
                _part(question, kind).unlink()


def _ring(bell: Path, name: str) -> None:
    """Raises `OSError` where nobody listens."""
    pipe = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(pipe, f"{name}\n".encode())
    finally:
        os.close(pipe)


def _answer(question: Path, end: float) -> Answer | None:
    code = _part(question, "code")
    while not code.exists():
        if time.monotonic() > end:
            return None
        time.sleep(_POLL_SECONDS)
    stdout, stderr = (_part(question, kind).read_text("utf-8", "replace") for kind in ("out", "err"))
    return Answer(int(code.read_text("utf-8")), stdout, stderr)


def _part(question: Path, kind: str) -> Path:
    return question.with_name(f"{question.name}.{kind}") if kind else question
