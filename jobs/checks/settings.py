"""Slurm's settings that decide whether and how an interrupted job comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from jobs.checks.finding import Finding, Group

_OWN_REQUEUE_CODES = (1, 75)
"""With these a job of ours ends that goes on by itself."""
_SHORT_KILL_WAIT_SECONDS = 10
_DEFAULT_EXPIRE_SECONDS = 120
_DEFAULT_BATCH_REQUEUE = 5
_JOBS_OF_A_CHAIN, _SINGLE_JOBS_OF_A_CHAIN = 6, 4  # the others are two arrays

Settings = Mapping[str, str]


def examine(settings: Settings, limits: Mapping[str, int], most_jobs: int, group: Group) -> list[Finding]:
    """Look at ``scontrol show config``.

    Args:
        limits: how many jobs the user may have in the queue.
        most_jobs: how many a command of ours submits at once.
    """
    if not settings:
        remedy = "see whether `scontrol show config` works; nothing of what follows is known until it does"
        return [group.problem("scontrol", "scontrol gives no answer here", remedy)]
    found = [check(settings, group) for check in _CHECKS]
    return [*found, *_limits(limits, most_jobs, group)]


def _version(settings: Settings, group: Group) -> Finding:
    return group.ok(
        "version", f"Slurm {settings.get('SLURM_VERSION', '?')}, cluster {settings.get('ClusterName', '?')}"
    )


def _preemption(settings: Settings, group: Group) -> Finding:
    kind, mode = settings.get("PreemptType", ""), settings.get("PreemptMode", "")
    if kind in ("", "preempt/none"):
        return group.ok("preemption", "jobs are not preempted")
    return group.ok("preemption", f"jobs may be preempted ({kind}, mode {mode} unless the partition says otherwise)")


def _requeue(settings: Settings, group: Group) -> Finding:
    if settings.get("JobRequeue") == "0":
        found = (
            "JobRequeue=0: Slurm puts no job back into the queue that did not ask for it; jobs of wavenet ask for it"
        )
        remedy = "nothing for wavenet's jobs; scripts of your own need `#SBATCH --requeue`"
        return group.warning("requeue", found, remedy)
    return group.ok("requeue", "JobRequeue=1: Slurm puts interrupted jobs back into the queue")


def _hold(settings: Settings, group: Group) -> Finding:
    told = re.search(r"cred_expire=(\d+)", settings.get("AuthInfo", ""))
    seconds = int(told[1]) if told else _DEFAULT_EXPIRE_SECONDS
    found = f"a job that was put back waits some {seconds} seconds before it may start again"
    return group.ok("requeue hold", f"{found}; sooner: scontrol update JobId=N StartTime=now")


def _kill_wait(settings: Settings, group: Group) -> Finding:
    seconds = _number(settings, "KillWait")
    found = f"KillWait={seconds}: so many seconds lie between the first warning and the end, besides any grace time"
    if seconds < _SHORT_KILL_WAIT_SECONDS:
        remedy = (
            "keep steps short and checkpoints frequent (training.checkpoint_seconds=); a partition with grace helps"
        )
        return group.warning("kill wait", found, remedy)
    return group.ok("kill wait", found)


def _batch_requeue(settings: Settings, group: Group) -> Finding:
    most = _number(settings, "MaxBatchRequeue", _DEFAULT_BATCH_REQUEUE)
    found = f"a job whose node fails at its start {most} times is held (MaxBatchRequeue)"
    return group.ok("batch requeue", f"{found}; `wavenet status` then says how to release it")


def _exit_hold(settings: Settings, group: Group) -> Finding:
    codes = {int(code) for code in re.findall(r"\d+", settings.get("RequeueExitHold", ""))}
    hit = sorted(codes & set(_OWN_REQUEUE_CODES))
    if hit:
        remedy = "ask the administrators to take these codes out of RequeueExitHold; until then: scontrol release N"
        return group.problem("exit codes", f"a job that ends with exit code {hit} to go on is held by the site", remedy)
    return group.ok("exit codes", "no exit code by which a job of wavenet asks to go on is held")


def _arrays(settings: Settings, group: Group) -> Finding:
    size = _number(settings, "MaxArraySize")
    if size < 2:
        remedy = "ask the administrators to allow arrays (MaxArraySize); until then use cluster=local in one job"
        return group.problem("arrays", f"MaxArraySize={size}: arrays are not allowed", remedy)
    return group.ok("arrays", f"MaxArraySize={size}: larger arrays are submitted in parts of at most {size} tasks")


def _accounting(settings: Settings, group: Group) -> Finding:
    kind = settings.get("AccountingStorageType", "")
    if kind.endswith("none") or kind in ("", "(null)"):
        return group.ok("accounting", "accounting is off, and nothing here needs it")
    return group.ok("accounting", f"accounting is on ({kind.rpartition('/')[2]})")


def _tracking(settings: Settings, group: Group) -> Finding:
    kind = settings.get("ProctrackType", "")
    if kind == "proctrack/cgroup":
        return group.ok("process tracking", "processes are tracked by cgroups")
    found = f"ProctrackType={kind}: a process may outlive its job, and signals reach more processes than the job's own"
    return group.warning(
        "process tracking", found, "nothing that you can do; look for leftovers with `ps` after trouble"
    )


def _bad_exit(settings: Settings, group: Group) -> Finding:
    value = settings.get("KillOnBadExit", "0")
    return group.ok("bad exit", f"KillOnBadExit={value}; jobs of wavenet ask for 0, so that a process may still save")


_CHECKS: tuple[Callable[[Settings, Group], Finding], ...] = (
    _version,
    _preemption,
    _requeue,
    _hold,
    _kill_wait,
    _batch_requeue,
    _exit_hold,
    _arrays,
    _accounting,
    _tracking,
    _bad_exit,
)


def _limits(limits: Mapping[str, int], most_jobs: int, group: Group) -> Iterator[Finding]:
    """Each task of an array counts as a job."""
    if not limits:
        yield group.ok("submit limits", "no limit on the number of your jobs in the queue is known")
    for name, most in limits.items():
        found = f"{name}={most}: so many jobs of yours may be in the queue, where each task of an array counts"
        if most < _JOBS_OF_A_CHAIN:
            remedy = "`wavenet run` does not fit in: start the stages one by one (prepare, train, generate, report)"
            yield group.problem("submit limits", found, remedy)
        elif most < most_jobs:
            workers = (most - _SINGLE_JOBS_OF_A_CHAIN) // 2
            remedy = f"set cluster.max_parallel={workers}, or let a submission wait for room (cluster.submit_minutes)"
            yield group.warning("submit limits", f"{found}; a chain submits {most_jobs}", remedy)
        else:
            yield group.ok("submit limits", found)


def _number(settings: Settings, name: str, default: int = 0) -> int:
    found = re.match(r"\d+", settings.get(name, ""))
    return int(found[0]) if found else default
