"""What submitit calls inside a Slurm job: the task, and its end told to the batch script as an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.environment import done_marker, placement
from jobs.folders import shown
from jobs.results import Failed, Result
from jobs.tasks import announce
from wavenet import durable
from wavenet.errors import InterruptedRunError, StageFailedError
from wavenet.training.job import Outcome


def run(function: Callable[..., Result], *arguments: Any) -> None:
    """Do the task and leave with its exit code; an exit of 0 has the marker of completion beside it.

    Exit codes are those of `wavenet.errors`: the batch script puts the job back for 75 and for those of accidents.
    """
    result = function(*arguments)
    code = exit_code(result)
    if isinstance(result, Failed):
        announce(f"wavenet: {result.message}")
    marker = done_marker()
    if code == 0 and marker is not None and placement().world.is_first:
        durable.write_text(marker, "")
    # Not a return: submitit would write its own result and end with 0 in either case.
    sys.exit(code)


def run_after(folder: Path, num_jobs: int, function: Callable[..., Result], *arguments: Any) -> None:
    """`run`, provided that all ``num_jobs`` jobs that were submitted with ``folder`` have come to their end.

    Slurm's word for how a job ended is no proof: only the markers are.
    """
    num_done = len(list(folder.glob("*.done")))
    if num_done < num_jobs:
        missing = f"{num_jobs - num_done} of {num_jobs}"
        sentence = f"{missing} jobs of the stage before did not come to their end; the reason is in {shown(folder)}"
        run(lambda: Failed(sentence, is_final=True, exit_code=StageFailedError.exit_code))
    run(function, *arguments)


def exit_code(result: Result) -> int:
    """Of a task that ended with ``result``."""
    if isinstance(result, Failed):
        return result.exit_code
    value = getattr(result, "value", None)
    if isinstance(value, Outcome) and not value.is_finished:
        return InterruptedRunError.exit_code
    return 0
