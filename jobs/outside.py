"""Slurm's commands for a program in a container, which has none: the batch script outside runs them for it.

A question is a file in a folder of the submission, with a word of the command on each line. The name of the file,
written to the pipe ``bell``, calls the script; it leaves what the command prints and, last, its exit code beside it.

The script is on a job's first node, and a pipe reaches no other machine. What the job's ranks ask, they all ask in the
same moments: when it begins, and when it is told to stop. So each answer stays in the folder for those elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.2
_FRESH_SECONDS = 5.0  # more than between two ranks that hear the same signal, less than to the next one


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, command: Sequence[str], seconds: float) -> Answer | None:
    """What ``command`` says outside, where it is let: what changes nothing; None without an answer in ``seconds``.

    For processes on the job's first node; where nobody listens, that shows at once.
    """
    question = folder / os.urandom(8).hex()
    try:
        question.write_text("".join(f"{word}\n" for word in command), "utf-8")
        _ring(folder / "bell", question.name)
        answer = _answer(question, time.monotonic() + seconds)
        if answer is not None:
            _part(question, "copy").write_text(json.dumps(asdict(answer)), "utf-8")
            _part(question, "copy").replace(kept_at(folder, command))
        return answer
    except OSError:
        return None
    finally:
        for kind in ("", "out", "err", "code", "copy"):
            with contextlib.suppress(OSError):
                _part(question, kind).unlink()


def overhear(folder: Path, command: Sequence[str], seconds: float) -> Answer | None:
    """What a process on the first node has just been answered, or is within ``seconds``, by the same ``command``."""
    known, own, end = kept_at(folder, command), folder / os.urandom(8).hex(), time.monotonic() + seconds
    try:
        own.touch()
        asked = own.stat().st_mtime  # by the clock of whoever keeps the files, like the answers' own
        while not _is_fresh(known, asked):
            if time.monotonic() > end:
                return None
            time.sleep(_LOOK_SECONDS)
            # Over NFS a missing file may stay missing for a minute, unless this machine itself changes its folder.
            own.unlink()
            own.touch()
        return Answer(**json.loads(known.read_text("utf-8")))
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            own.unlink()


def kept_at(folder: Path, command: Sequence[str]) -> Path:
    """Where the newest answer stays."""
    digest = hashlib.sha256("\n".join(command).encode()).hexdigest()
    return folder / f"{digest[:16]}.known"


def _is_fresh(known: Path, asked: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return known.stat().st_mtime > asked - _FRESH_SECONDS
    return False


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
