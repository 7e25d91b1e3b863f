"""Whether anything is still at work on a run or a data folder: jobs of Slurm, or processes of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.attempts import read_attempts
from jobs.environment import host_name
from jobs.progress.log_files import LogFile
from jobs.queue.scheduler import QueuedJob
from wavenet.run_paths import RunPaths

_FOR_GOOD = ("finished", "user", "nan loss")
"""Causes after which nothing starts another attempt."""


@dataclass(frozen=True)
class Place:
    """A folder ``jobs``, of a run or of a data folder (``run`` is None), by its name."""

    jobs: Path
    name: str
    run: RunPaths | None


def is_over(place: Place, jobs: Sequence[QueuedJob] | None, logs: Iterable[LogFile]) -> bool:
    """Whether nothing more will come, as far as can be told from here.

    Args:
        jobs: those in Slurm's queue; None where squeue gives no answer.
        logs: those that processes of this machine may be writing.
    """
    if jobs:
        return False
    if place.run is not None and (jobs is None or _may_be_elsewhere(place.run)):
        attempts = read_attempts(place.run)
        return bool(attempts) and attempts[-1].cause in _FOR_GOOD
    if jobs is None:
        return False
    return not _is_launched(place.jobs) and not any(_is_written(log) for log in logs)


def _may_be_elsewhere(run: RunPaths) -> bool:
    """Whether the newest attempt is of another machine, without Slurm, and has written no end."""
    attempts = read_attempts(run)
    last = attempts[-1] if attempts else None
    return last is not None and last.job_id is None and last.cause is None and last.host != host_name()


def _is_launched(jobs: Path) -> bool:
    """Whether a command of this machine is carrying the run through; between two attempts nothing else is there."""
    path = jobs / "launcher.lock"
    try:
        holder = json.loads(path.read_text("utf-8"))
        folder = Path(f"/proc/{int(holder['pid'])}/fd")
        return holder["host"] == host_name() and any(_is_same(descriptor, path) for descriptor in folder.iterdir())
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _is_same(descriptor: Path, path: Path) -> bool:
    try:
        return descriptor.samefile(path)
    except OSError:
        return False


def _is_written(log: LogFile) -> bool:
    """Whether the process of this machine that the log is named after is still there; a number may be used again."""
    try:
        return str(log.folder).encode() in Path(f"/proc/{log.job}/cmdline").read_bytes()
    except OSError:
        return False
