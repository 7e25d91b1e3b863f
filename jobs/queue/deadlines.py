"""How long a process has from a signal to its end: what is known when it is submitted."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.cluster import ClusterConfig, Executor
from jobs.queue import scheduler

_KILL_WAIT_SECONDS = 30.0  # Slurm's own default


@dataclass(frozen=True)
class Notice:
    """Seconds from a signal to SIGKILL, as far as the signal alone tells: what the scheduler says later may be more."""

    kill_seconds: float = _KILL_WAIT_SECONDS
    warning_seconds: float = _KILL_WAIT_SECONDS
    """After the warning of a time limit."""


def notice_of(cluster: ClusterConfig) -> Notice:
    """Slurm's KillWait, or the patience of what watches over the processes of this machine."""
    if cluster.executor is Executor.local:
        kill_seconds = cluster.stop_seconds
    else:
        known = scheduler.kill_wait()
        kill_seconds = _KILL_WAIT_SECONDS if known is None else known
    return Notice(kill_seconds, cluster.warning_seconds or kill_seconds)
