"""``wavenet cancel``: stop a run for good; only its user starts it again."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

from omegaconf import MISSING

from jobs import scheduler, submitted
from jobs.folders import DEFAULT_ROOT, run_paths, shown
from jobs.ownership import is_alive
from jobs.stopped import mark_stopped
from wavenet.checkpoint.ledger import current_claim
from wavenet.errors import InputError, StageFailedError
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class CancelKeys:
    """Keys of ``wavenet cancel``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")


def cancel(keys: CancelKeys) -> None:
    """Mark the run as stopped, then end its jobs and processes.

    The mark comes first: a job that is just being put back, or handed over to another, sees it.
    """
    run = run_paths(keys.run, keys.root)
    if not run.root.is_dir():
        raise InputError(f"there is no run at {shown(run.root)!r}; `wavenet status` lists the runs below {keys.root}")
    mark_stopped(run)
    print(f"the run {run.name!r} stays stopped until it is started again")
    for line in (*_cancel_jobs(run), *_stop_process(run)):
        print(line)


def _cancel_jobs(run: RunPaths) -> list[str]:
    jobs = submitted.in_queue(run)
    if jobs is None:
        raise StageFailedError(
            f"squeue does not say which jobs of the run {run.name!r} are in the queue; they will not train any more, "
            f"but may stay there: scancel {' '.join(submitted.names(run))}"
        )
    if jobs and (complaint := scheduler.cancel(sorted({job.array_id for job in jobs}))):
        raise StageFailedError(f"the jobs of the run {run.name!r} cannot be cancelled: {complaint}")
    return [f"cancelled: {submitted.in_words(jobs)}"] if jobs else []


def _stop_process(run: RunPaths) -> list[str]:
    """Ask a training process of this machine to save and end."""
    claim = current_claim(run)
    if claim is None or claim.owner.job_id is not None or not is_alive(claim):
        return []
    with contextlib.suppress(ProcessLookupError):
        os.kill(claim.owner.pid, signal.SIGTERM)
    return [f"process {claim.owner.pid} saves its state and ends"]
