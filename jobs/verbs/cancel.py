"""``wavenet cancel``: stop a run, or the preparation of a data folder, for good; only its user starts it again."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

from jobs.folders import DEFAULT_ROOT, HasJobs, absolute, run_paths, shown
from jobs.queue import scheduler, submitted
from jobs.stopped import mark_stopped
from jobs.work.ownership import is_alive
from wavenet.checkpoint.ledger import current_claim
from wavenet.errors import InputError, StageFailedError, UsageError
from wavenet.run_paths import RunPaths
from wavenet.settings import key
from wavenet.shards.layout import DataPaths


@dataclass(frozen=True, kw_only=True)
class CancelKeys:
    """Keys of ``wavenet cancel``."""

    run: str = key("", "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("", "instead of a run: folder of shards whose preparation is to end; for example data=data")


def cancel(keys: CancelKeys) -> None:
    """Mark the run as stopped, then end its jobs and processes.

    The mark comes first: a job that is just being put back, or handed over to another, sees it.
    """
    if not keys.run and not keys.data:
        raise UsageError("cancel needs run=NAME, or data=FOLDER for what `wavenet prepare` has submitted")
    if not keys.run:  # a run brings its own data= along
        _cancel_preparation(DataPaths(absolute(keys.data)))
        return
    run = run_paths(keys.run, keys.root)
    if not run.root.is_dir():
        raise InputError(f"there is no run at {shown(run.root)!r}; `wavenet status` lists the runs below {keys.root}")
    _cancel(run, f"the run {run.name!r}")
    for line in _stop_process(run):
        print(line)


def _cancel_preparation(data: DataPaths) -> None:
    if not data.jobs.is_dir():
        raise InputError(f"nothing was started in the data folder {shown(data.root)!r}; data= must name one")
    _cancel(data, f"the preparation of {shown(data.root)!r}")


def _cancel(place: HasJobs, what: str) -> None:
    mark_stopped(place)
    print(f"{what} stays stopped until it is started again", flush=True)
    jobs = submitted.in_queue(place)
    if jobs is None:
        raise StageFailedError(
            f"squeue does not say which jobs of {what} are in the queue; they will do nothing any more, but may stay "
            f"there: scancel {' '.join(submitted.names(place))}"
        )
    if jobs and (complaint := scheduler.cancel(sorted({job.array_id for job in jobs}))):
        raise StageFailedError(f"the jobs of {what} cannot be cancelled: {complaint}")
    if jobs:
        print(f"cancelled: {submitted.in_words(jobs)}")


def _stop_process(run: RunPaths) -> list[str]:
    """Ask a training process of this machine to save and end."""
    claim = current_claim(run)
    if claim is None or claim.owner.job_id is not None or not is_alive(claim):
        return []
    with contextlib.suppress(ProcessLookupError):
        os.kill(claim.owner.pid, signal.SIGTERM)
    return [f"process {claim.owner.pid} saves its state and ends"]
