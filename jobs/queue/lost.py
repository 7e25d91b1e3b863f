"""What became of the attempt before this one, when it wrote no end: nobody told it, or it was killed."""

from __future__ import annotations

import re
import signal
from datetime import datetime

from jobs.attempts import Attempt, read_attempts
from jobs.environment import Placement
from jobs.queue import scheduler, submitted
from wavenet.run_paths import RunPaths
from wavenet.training import memory
from wavenet.training.job import LostAttempt

_ENDED_WITH = re.compile(r"ended with ([1-9]\d*)")  # 0 without our mark is srun's word for a lost node
_OUT_OF_MEMORY = re.compile(r"ended with \d+ \((out of memory[^)]*)\)")
_JOB_STATES = {
    "OUT_OF_MEMORY": "out of memory",
    "NODE_FAIL": "node failure",
    "PREEMPTED": "preemption",
    "TIMEOUT": "time limit",
    "CANCELLED": "user",
}


def lost_attempt(run: RunPaths, here: Placement) -> LostAttempt | None:
    """The newest attempt, if it has no end, and why; to be asked by the one that follows it, before it claims the run.

    Later it could not be told apart from one that lives on unseen, and Slurm forgets.
    """
    attempts = read_attempts(run)
    if not attempts or attempts[-1].cause is not None:
        return None
    last = attempts[-1]
    cause, detail = _told(last) or _seen_by_script(run, last) or _seen_by_slurm(last, here) or ("crash", "")
    return LostAttempt(last.attempt, cause, detail)


def _told(last: Attempt) -> tuple[str, str] | None:
    return (last.told, "killed before it could write its end") if last.told else None


def _seen_by_script(run: RunPaths, last: Attempt) -> tuple[str, str] | None:
    """What surrounded the process on its node was still there when it ended."""
    if last.job_id is None:
        return None
    words = submitted.decision(run, last.job_id, last.restart_count) or ""
    if shortage := _OUT_OF_MEMORY.match(words):
        return "out of memory", f"{shortage[1]}; {memory.REMEDY}"
    ended = _ENDED_WITH.match(words)
    return ("crash", _in_words(int(ended[1]))) if ended else None


def _in_words(code: int) -> str:
    """An exit code as a shell tells it: from 128 on a signal."""
    try:
        return f"killed by {signal.Signals(code - 128).name}" if code > 128 else f"ended with exit code {code}"
    except ValueError:
        return f"ended with exit code {code}"


def _seen_by_slurm(last: Attempt, here: Placement) -> tuple[str, str] | None:
    if last.job_id is None:
        return None
    name = last.host.partition(".")[0]
    if scheduler.is_down(name) or _was_rebooted(name, last.started):
        return "node failure", f"{name} was lost"
    if last.job_id == here.job_id:
        return "node failure", f"nothing on {name} saw it end, and Slurm started the job again"
    state = scheduler.facts_of(last.job_id).get("JobState", "")
    return (_JOB_STATES.get(state, "crash"), f"Slurm says {state}") if state else None


def _was_rebooted(node: str, began: str | None) -> bool:
    """Whether nothing from before ``began`` runs there any more."""
    booted = scheduler.boot_time(node)
    return booted is not None and began is not None and booted > datetime.fromisoformat(began)
