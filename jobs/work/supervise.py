"""Carry a training run through to its end on this machine: start, follow, and start again what was interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime, timezone

from jobs.cluster import ClusterConfig
from jobs.folders import shown
from jobs.results import Done, Failed, Killed, Result
from jobs.signals import Interrupts, counted_interrupts
from jobs.stopped import is_stopped
from jobs.terminal import Display, Follower
from jobs.work.local import LocalJob
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InterruptedRunError, StageFailedError, WavenetError
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history
from wavenet.training.job import Outcome

Start = Callable[[int], LocalJob]
"""Starts the attempt with this restart count."""

Watch = Callable[[str, LocalJob], None]
"""Sees every line of the log, with the job that prints it."""

_POLL_SECONDS = 0.1
_SEND_AGAIN_SECONDS = 1.0  # a process that is still importing has no handler yet


def nobody(line: str, job: LocalJob) -> None:
    """A `Watch` that does nothing."""


def carry_through(
    run: RunPaths, start: Start, cluster: ClusterConfig, *, num_steps: int, display: Display, watch: Watch = nobody
) -> Outcome:
    """Start attempts until the run is finished.

    An attempt that was interrupted, killed or crashed is followed by another; ``cluster.idle_restarts`` of them in a
    row without a new checkpoint are the end.

    Raises:
        InterruptedRunError: the user asked for a stop; everything is saved.
        StageFailedError: no progress any more.
        WavenetError: an error that would come again, as its own class.
    """
    restart_count, idle, saved = 0, 0, _newest(run)
    with counted_interrupts() as interrupts:
        while True:
            num_before = _num_attempts(run)
            job = start(restart_count)
            result = _follow(run, job, cluster, interrupts, num_steps=num_steps, display=display, watch=watch)
            job.tidy()
            if isinstance(result, Done) and result.value.is_finished:
                outcome: Outcome = result.value
                return outcome
            before, saved = saved, _newest(run)
            _see_marker(run, interrupts)
            if interrupts.count:
                raise InterruptedRunError(_stopped(run, saved))
            if isinstance(result, Failed) and result.is_final:
                raise _as_error(result)
            idle = 0 if saved > before else idle + 1
            reason = _reason(result, job) if _num_attempts(run) == num_before else _written(run) or _reason(result, job)
            if idle > cluster.idle_restarts:
                raise StageFailedError(
                    f"training of the run {run.name!r} ended {idle} times in a row without a new checkpoint, the last "
                    f"time because {reason}; the newest checkpoint is step {saved}"
                )
            # The class project's scripts find restarts by this line's beginning.
            display.line(f"Restarting the service at {_now()} from step {saved}: {reason}")
            _pause(cluster.restart_pause_seconds, interrupts)
            _see_marker(run, interrupts)
            if interrupts.count:
                raise InterruptedRunError(_stopped(run, saved))
            restart_count += 1


def _follow(
    run: RunPaths,
    job: LocalJob,
    cluster: ClusterConfig,
    interrupts: Interrupts,
    *,
    num_steps: int,
    display: Display,
    watch: Watch,
) -> Result:
    follower = Follower(job.log)
    asked: float | None = None
    sent = 0.0
    while True:
        is_over = job.is_over()
        for line in follower.lines():
            display.training(line, num_steps)
            watch(line, job)
        if is_over:
            display.end()
            return job.result()
        now = time.monotonic()
        _see_marker(run, interrupts)
        if interrupts.count and asked is None:
            display.line("stopping: the state is saved at the end of this step; Ctrl-C again ends it at once")
            asked = now
        if asked is not None and (interrupts.count > 1 or now - asked > cluster.stop_seconds):
            job.send(signal.SIGKILL)
        elif asked is not None and now - sent > _SEND_AGAIN_SECONDS:
            job.send(signal.SIGINT)
            sent = now
        job.wait(_POLL_SECONDS)


def _see_marker(run: RunPaths, interrupts: Interrupts) -> None:
    """`wavenet cancel`, perhaps on another machine, counts as a first Ctrl-C."""
    if not interrupts.count and is_stopped(run):
        interrupts.count = 1


def _newest(run: RunPaths) -> int:
    return max((checkpoint.step for checkpoint in list_committed(run)), default=0)


def _num_attempts(run: RunPaths) -> int:
    return len(list(run.history.glob("attempt-*.jsonl")))


def _written(run: RunPaths) -> str | None:
    """What the process beside a training process has seen of its end."""
    last = read_history(run).attempts[-1]
    return f"{last.cause}: {last.detail}" if last.cause in ("hang", "out of memory") else None


def _reason(result: Result, job: LocalJob) -> str:
    match result:
        case Done(value=Outcome(cause=cause, step=step)):
            return f"{cause} at step {step}"
        case Failed(message=message):
            return f"{message} (details in {shown(job.error_log)})"
        case Killed(message=message):
            return message
        case _:
            return "of an unknown cause"


def _stopped(run: RunPaths, step: int) -> str:
    return f"stopped; step {step} of the run {run.name!r} is saved, and `wavenet train run={shown(run.root)}` goes on"


def _as_error(failed: Failed) -> WavenetError:
    """The task's error again, of the class with the same exit code."""
    for kind in WavenetError.__subclasses__():
        if kind.exit_code == failed.exit_code:
            return kind(failed.message)
    return WavenetError(failed.message)


def _pause(seconds: float, interrupts: Interrupts) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not interrupts.count:
        time.sleep(min(_POLL_SECONDS, seconds))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
