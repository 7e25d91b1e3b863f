"""Why a job is asked to stop: what a signal alone cannot say, its stop marker and the scheduler can."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jobs import scheduler
from jobs.environment import Placement
from jobs.stopped import is_stopped
from wavenet.run_paths import RunPaths
from wavenet.training.stopping import StopRequest

_NONE = ("", "None", "Unknown", "N/A")


class JobStop(StopRequest):
    """A wish to stop whose cause is looked up when all is saved: until then every second may be the last."""

    def __init__(self, look_up: Callable[[str], str]) -> None:
        super().__init__()
        self._look_up = look_up

    def settled(self, cause: str) -> str:
        """What stop marker and scheduler say, unless the run has come to its end."""
        return cause if self.cause is None or cause == "finished" else self._look_up(cause)


def cause_of_stop(run: RunPaths, place: Placement, guess: str) -> str:
    """The cause of a signal that by itself would mean ``guess``."""
    if is_stopped(run):
        return "user"
    if place.job_id is None or guess == "user":
        return guess
    job = scheduler.facts_of(place.job_id)
    if not job:
        return guess
    return told_by_scheduler(job, place.restart_count, guess, scheduler.facts_of_partition, scheduler.is_down)


def told_by_scheduler(
    job: Mapping[str, str],
    restart_count: int,
    guess: str,
    partition: Callable[[str], Mapping[str, str]],
    is_down: Callable[[str], bool],
) -> str:
    """Read the cause from what ``scontrol show job`` says while the job is being stopped.

    In its grace time a preempted job is RUNNING and has a PreemptTime. A job that Slurm has put back already counts
    one restart more than this start's: a node that is down, a preemption without grace, or somebody's
    ``scontrol requeue``; the last two look alike on partitions that preempt at once, and preemption is the likelier
    there. One that is ending without a restart was cancelled.
    """
    if job.get("PreemptTime", "") not in _NONE:
        return "preemption"
    at_once = _preempts_at_once(partition(job.get("Partition", "")))
    if int(job.get("Restarts", "0")) > restart_count:
        if is_down(job.get("BatchHost", "")):
            return "node failure"
        return "preemption" if at_once == "REQUEUE" else "requeue"
    if job.get("JobState") == "RUNNING":
        return guess
    if _seconds(job.get("RunTime", "")) >= _seconds(job.get("TimeLimit", "")) > 0:
        return "time limit"
    return "preemption" if at_once == "CANCEL" else "user"


def _preempts_at_once(partition: Mapping[str, str]) -> str:
    """What the partition does without a grace time: REQUEUE, CANCEL or nothing."""
    return partition.get("PreemptMode", "") if partition.get("GraceTime") == "0" else ""


def _seconds(duration: str) -> int:
    """Of Slurm's [days-]hours:minutes:seconds; 0 for words such as UNLIMITED."""
    days, _, clock = duration.rpartition("-")
    try:
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return (24 * int(days or 0) + hours) * 3600 + 60 * minutes + seconds
    except ValueError:
        return 0
