"""The record of a run's jobs: ``jobs/submitted``, one line each with job id and name; batch scripts add to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from jobs.folders import HasJobs
from jobs.queue import scheduler
from jobs.queue.scheduler import QueuedJob
from wavenet import durable
from wavenet.run_paths import RunPaths

_DECISION = re.compile(r"(?P<time>\S+)Z job (?P<job>\S+) restart (?P<restart>\d+) on \S+: (?P<words>.*)")
_NEWEST = 1000  # of a folder's jobs are asked for: where tasks of an array hand over, each is a job of its own


def add(jobs: Path, job_id: str, name: str) -> None:
    """Note in the folder ``jobs`` that a job, or an array, was submitted."""
    path = jobs / "submitted"
    with durable.storage_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{job_id} {name}\n")
        file.flush()
        os.fsync(file.fileno())


def names(place: HasJobs) -> dict[str, str]:
    """Names of the submitted jobs by their ids, in the order of submission."""
    return names_in(place.jobs)


def names_in(jobs: Path) -> dict[str, str]:
    """`names`, of the folder ``jobs`` of a run or of a data folder."""
    lines = _lines(jobs / "submitted")
    return {job_id: name for job_id, _, name in (line.partition(" ") for line in lines) if job_id.isdigit()}


def in_queue(*places: HasJobs) -> list[QueuedJob] | None:
    """Those of their jobs that Slurm has in its queue; None where it gives no answer."""
    return in_queue_of(*(place.jobs for place in places))


def in_queue_of(*folders: Path) -> list[QueuedJob] | None:
    """`in_queue`, of the folders ``jobs`` of runs and data folders.

    Ids come round again after some years, and start anew with a new cluster: the name has to fit as well.
    """
    recorded = {job_id: name for jobs in folders for job_id, name in list(names_in(jobs).items())[-_NEWEST:]}
    jobs = scheduler.ask(list(recorded))
    return None if jobs is None else [job for job in jobs if recorded.get(job.array_id) == job.name]


def last_decision(run: RunPaths) -> str | None:
    """What the run's newest batch script to end has noted."""
    lines = _lines(run.jobs / "decisions.log")
    return lines[-1] if lines else None


def ends(jobs: Path) -> dict[str, datetime]:
    """When each job, as its batch script has noted in the folder ``jobs``, was done."""
    told = (_DECISION.match(line) for line in _lines(jobs / "decisions.log"))
    return {
        one["job"]: datetime.fromisoformat(one["time"] + "+00:00") for one in told if one and one["words"] == "done"
    }


def decision(run: RunPaths, job_id: str, restart_count: int) -> str | None:
    """The last words of the batch script of one start of a job."""
    told = (_DECISION.match(line) for line in _lines(run.jobs / "decisions.log"))
    words = [one["words"] for one in told if one and (one["job"], int(one["restart"])) == (job_id, restart_count)]
    return words[-1] if words else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def in_words(jobs: Iterable[QueuedJob]) -> str:
    """``job 12 is PENDING (BeginTime)``; tasks of arrays are counted."""
    by_array: dict[str, list[QueuedJob]] = {}
    for job in jobs:
        by_array.setdefault(job.array_id, []).append(job)
    return ", ".join(_one(job_id, group) for job_id, group in by_array.items())


def _one(job_id: str, group: list[QueuedJob]) -> str:
    if len(group) == 1:
        job = group[0]
        where = f" on {job.nodes}" if job.nodes else ""
        why = f" ({job.reason})" if job.reason not in ("None", "") else ""
        return f"job {job.job_id} ({job.name}) is {job.state}{where}{why}"
    states = [job.state for job in group]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"job {job_id} ({group[0].name}): {counted}"
