"""Whether a run may be started: nobody else may be at it, on this machine or another."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jobs.environment import Placement, host_name
from jobs.processes import started_tick
from jobs.queue import scheduler, submitted
from jobs.queue.scheduler import QueuedJob
from wavenet import durable
from wavenet.checkpoint.ledger import Claim, current_claim
from wavenet.errors import BusyError
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history


def is_alive(claim: Claim) -> bool | None:
    """Whether the claim's process still runs; None where it is another machine's and only that one could tell."""
    if claim.owner.host != host_name():
        return None
    return started_tick(claim.owner.pid) == claim.owner.pid_started


def require_free(run: RunPaths, *, takeover: bool) -> None:
    """Raise `BusyError` when an attempt at the run is alive, or may be alive on another machine.

    With ``takeover`` only a process of this machine counts; one elsewhere is fenced by the next claim and stops at
    its next commit.
    """
    claim = current_claim(run)
    if claim is None:
        return
    owner = claim.owner
    if owner.job_id is not None:
        _require_gone(run, scheduler.ask([owner.job_id]), takeover=takeover)
        return
    alive = is_alive(claim)
    if alive:
        raise BusyError(
            f"the run {run.name!r} is already running as process {owner.pid} on {owner.host}; "
            f"`wavenet status run={run.name}` shows it"
        )
    if alive is None and not takeover and not _has_ended(run, claim.attempt):
        raise BusyError(
            f"the run {run.name!r} was last started on {owner.host} (process {owner.pid}) and has written no end; if "
            f"that process is gone, go on with takeover=true"
        )


def require_takeover(run: RunPaths, place: Placement, *, takeover: bool) -> None:
    """Raise `BusyError` unless the start of a job at ``place`` may take the run over from its latest owner.

    It may from an older start of the same job, and from an owner that is dead. Another job is dead when it is not in
    the queue: one that waits there would take the run back, and so on for ever.

    Without an answer of Slurm's the job's first process decides, and the others, which wait for it, go on.
    """
    takeover = takeover or not place.world.is_first
    claim = current_claim(run)
    if claim is None:
        return
    other = claim.owner.job_id
    if other is None:
        require_free(run, takeover=takeover)
    elif other != place.job_id:
        _require_gone(run, scheduler.ask([other]), takeover=takeover)


def require_not_queued(run: RunPaths, *, takeover: bool) -> None:
    """Raise `BusyError` when Slurm has a job of the run in its queue, or when it does not answer and might."""
    _require_gone(run, submitted.in_queue(run), takeover=takeover)


def _require_gone(run: RunPaths, jobs: Sequence[QueuedJob] | None, *, takeover: bool) -> None:
    if jobs is None and not takeover and not _has_ended_for_good(run):
        raise BusyError(
            f"squeue does not say whether a job is at the run {run.name!r}; if none is, go on with takeover=true"
        )
    if jobs:
        raise BusyError(
            f"the run {run.name!r} is queued or running already: {submitted.in_words(jobs)}; "
            f"`wavenet cancel run={run.name}` ends it"
        )


def _has_ended_for_good(run: RunPaths) -> bool:
    """Whether the newest attempt has written an end after which no scheduler starts another."""
    attempts = read_history(run).attempts
    return bool(attempts) and attempts[-1].cause in ("finished", "user", "nan loss", "hours used up")


def _has_ended(run: RunPaths, attempt: int) -> bool:
    return any(row.attempt == attempt and row.ended is not None for row in read_history(run).attempts)


@contextmanager
def launching(run: RunPaths) -> Iterator[None]:
    """Hold the right to start attempts at the run on this machine, also between two attempts.

    Raises:
        BusyError: another command holds it.
    """
    durable.make_folder(run.jobs)
    path = run.jobs / "launcher.lock"
    with durable.storage_errors(path), path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(_busy(run, path.read_text("utf-8"))) from error
        except OSError:
            pass  # a file system without locks: the ledger's claim alone must do
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": host_name()}))
        file.flush()
        yield


def _busy(run: RunPaths, text: str) -> str:
    try:
        holder = json.loads(text)
        who = f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        who = "another command"
    return f"the run {run.name!r} is already running, watched by {who}; `wavenet status run={run.name}` shows it"
