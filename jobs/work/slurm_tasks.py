"""What submitit calls inside a Slurm job: the task, and its end told to the batch script as an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs.environment import done_marker, placement
from jobs.queue import scheduler
from jobs.queue.succession import Line, read_lines
from jobs.results import Failed, Result
from jobs.work.tasks import announce
from wavenet import durable
from wavenet.errors import InterruptedRunError, StageFailedError, StorageError
from wavenet.training.job import Outcome

_THE_STAGE = "the stage "


def run(function: Callable[..., Result], *arguments: Any) -> None:
    """Do the task and leave with its exit code; an exit of 0 has the marker of completion beside it.

    Exit codes are those of `wavenet.errors`: the batch script puts the job back for 75 and for those of accidents.
    """
    _leave(function(*arguments))


def run_after(folder: Path, num_jobs: int, function: Callable[..., Result], *arguments: Any) -> None:
    """`run`, provided that all ``num_jobs`` tasks that were submitted with ``folder`` have come to their end.

    Slurm's word for how a job ended is no proof: only the markers are. A task without one that is still in the queue,
    or has handed over to another job, has to be waited for; one that is gone will not come to its end any more.
    """
    lines = read_lines(folder)
    rest = [line for line in lines if not line.is_done]
    if len(lines) - len(rest) >= num_jobs:
        run(function, *arguments)
    queued = scheduler.ask([line.job_id for line in rest])
    if queued is None:
        _leave(Failed("squeue does not say whether the stage before is over", is_final=False))
    if queued:
        _leave_to_wait(sorted({job.array_id for job in queued}))
    _leave(Failed(_ended(folder, rest, num_jobs), is_final=True, exit_code=StageFailedError.exit_code))


def _ended(folder: Path, rest: Sequence[Line], num_jobs: int) -> str:
    """Which stage failed, how much of it, and the first reason; of several stages the first one that failed."""
    if passed_on := [line.failure for line in rest if (line.failure or "").startswith(_THE_STAGE)]:
        return str(passed_on[0])
    stage = folder.name.partition("-")[0]
    reasons = [f"job {line.job_id}: {line.failure}" for line in rest if line.failure]
    silent = [f"job {line.job_id} was cancelled, or lost with its node" for line in rest]
    count = f", {len(rest)} of {num_jobs} jobs," if num_jobs > 1 else ""
    return f"{_THE_STAGE}{stage}{count} did not come to its end: {[*reasons, *silent, 'its files are gone'][0]}"


def _leave(result: Result) -> None:
    code, marker, is_first = exit_code(result), done_marker(), placement().world.is_first
    if isinstance(result, Failed):
        announce(f"wavenet: {result.message}")
        if marker is not None:
            _note_failure(marker.with_suffix(".failed"), result.message)
    elif code == 0 and marker is not None and is_first:
        durable.write_text(marker, "")
    # Not a return: submitit would write its own result and end with 0 in either case.
    sys.exit(code)


def _note_failure(path: Path, message: str) -> None:
    """Of several processes, whose failures follow from each other, the first one's; the log has it in any case."""
    with contextlib.suppress(StorageError):
        durable.create_exclusively(path, f"{message}\n".encode())


def _leave_to_wait(job_ids: Sequence[str]) -> None:
    """Let the batch script hand over to a job that begins when these are over."""
    announce(f"the stage before is not over; waiting for job {', '.join(job_ids)}")
    if (marker := done_marker()) is not None:
        durable.write_text(marker.with_suffix(".after"), ":".join(job_ids))
    sys.exit(InterruptedRunError.exit_code)


def exit_code(result: Result) -> int:
    """Of a task that ended with ``result``."""
    if isinstance(result, Failed):
        return result.exit_code
    value = getattr(result, "value", None)
    if isinstance(value, Outcome) and not value.is_finished:
        return InterruptedRunError.exit_code
    return 0
