"""Why a job is asked to stop and how long it has: what a signal alone cannot say, its stop marker and Slurm can."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping

from jobs.environment import Placement
from jobs.queue import scheduler
from jobs.queue.deadlines import Notice
from jobs.queue.slurm_times import moment_of, seconds_of
from jobs.stopped import is_stopped
from wavenet.run_paths import RunPaths
from wavenet.training.stopping import StopRequest

GUESSES = {
    signal.SIGTERM: "preemption",
    signal.SIGUSR1: "time limit",
    signal.SIGUSR2: "time limit",
    signal.SIGINT: "user",
    signal.SIGHUP: "user",
}
"""What each signal means to a training process, if nobody knows better."""

_SAME_INSTANT_SECONDS = 1.0  # Slurm writes whole seconds
_NONE = ("", "None", "Unknown", "N/A")


class JobStop(StopRequest):
    """A wish to stop that begins with a signal."""

    def __init__(self, run: RunPaths, place: Placement, notice: Notice) -> None:
        super().__init__()
        self._run = run
        self._place = place
        self._notice = notice

    def hear(self, numbers: Iterable[int]) -> None:
        """Ask for the stop that these signals mean, and then find out what they mean, which may take a moment.

        Only the first signal's deadline may turn out to be later than it seems: those that follow say that the time
        which it gave is over.
        """
        heard, is_first = time.monotonic(), self.cause is None
        for number in numbers:
            guess = GUESSES[signal.Signals(number)]
            seconds = self._notice.warning_seconds if guess == "time limit" else self._notice.kill_seconds
            self.request(guess, heard + seconds)
        facts = self._facts()
        cause = cause_of_stop(self._run, self._place, str(self.cause), facts)
        left = seconds_left(facts, cause, self._notice.kill_seconds, scheduler.facts_of_partition) if is_first else None
        self.correct(cause, self.deadline if left is None else heard + left)

    def settled(self, cause: str) -> str:
        """What stop marker and scheduler say when all is saved, unless the run has come to its end."""
        if self.cause is None or cause == "finished":
            return cause
        return cause_of_stop(self._run, self._place, self.cause, self._facts())

    def _facts(self) -> Mapping[str, str]:
        return {} if self._place.job_id is None else scheduler.facts_of(self._place.job_id)


def cause_of_stop(run: RunPaths, place: Placement, guess: str, job: Mapping[str, str]) -> str:
    """The cause of a signal that by itself would mean ``guess``, given what ``scontrol show job`` says."""
    if is_stopped(run):
        return "user"
    if not job or guess == "user":
        return guess
    return told_by_scheduler(
        job, place.restart_count, guess, scheduler.facts_of_partition, lambda: scheduler.is_down(place.nodes)
    )


def told_by_scheduler(
    job: Mapping[str, str],
    restart_count: int,
    guess: str,
    partition: Callable[[str], Mapping[str, str]],
    is_lost: Callable[[], bool],
) -> str:
    """Read the cause from what ``scontrol show job`` says while the job is being stopped.

    In its grace time a preempted job is RUNNING and has a PreemptTime. A job that Slurm has put back already counts
    one restart more than this start's: a node that is down, a preemption without grace, or somebody's
    ``scontrol requeue``; the last two look alike on partitions that preempt at once, and preemption is the likelier
    there. One that is ending without a restart was cancelled: by Slurm, if it was preempted at that instant (without
    grace, or at the end of it), else by somebody, be it in its grace time.
    """
    was_put_back = int(job.get("Restarts", "0")) > restart_count
    if _is_preempted(job):
        is_cancelled = job.get("JobState") != "RUNNING" and not was_put_back
        return "user" if is_cancelled and _grace_seconds(job) > _SAME_INSTANT_SECONDS else "preemption"
    if was_put_back:
        if is_lost():
            return "node failure"
        return "preemption" if _requeues_at_once(partition(job.get("Partition", ""))) else "requeue"
    if job.get("JobState") == "RUNNING":
        return guess
    if _seconds(job, "RunTime") >= _seconds(job, "TimeLimit") > 0:
        return "time limit"
    return "user"


def seconds_left(
    job: Mapping[str, str], cause: str, kill_seconds: float, partition: Callable[[str], Mapping[str, str]]
) -> float | None:
    """Seconds from the signal to the end that Slurm has set for the job; None where it has set none.

    KillWait comes on top of a grace time, but not where the job has to put itself back before it is cancelled, as on
    partitions that do not requeue and before a time limit.
    """
    if _is_preempted(job):
        grace = _grace_seconds(job)
        is_cancelled = partition(job.get("Partition", "")).get("PreemptMode") == "CANCEL"
        return max(0.0, grace) or kill_seconds if is_cancelled else max(0.0, grace) + kill_seconds
    limit = _seconds(job, "TimeLimit")
    if cause == "time limit" and limit and job.get("JobState") == "RUNNING":
        return float(max(0, limit - _seconds(job, "RunTime")))
    return None


def _is_preempted(job: Mapping[str, str]) -> bool:
    return job.get("PreemptTime", "") not in _NONE


def _grace_seconds(job: Mapping[str, str]) -> float:
    """From a job's preemption to its end."""
    return (moment_of(job.get("EndTime", "")) or 0.0) - (moment_of(job["PreemptTime"]) or 0.0)


def _seconds(job: Mapping[str, str], field: str) -> int:
    """0 where the field is missing or holds a word."""
    return seconds_of(job.get(field, "")) or 0


def _requeues_at_once(partition: Mapping[str, str]) -> bool:
    return partition.get("PreemptMode") == "REQUEUE" and partition.get("GraceTime") == "0"
