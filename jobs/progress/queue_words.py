"""Slurm's reasons why a job waits, in plain words, and what to do about a job that will not start by itself."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.queue.scheduler import QueuedJob

_MEANINGS = {
    "BeginTime": "it may not start again for a moment",
    "Dependency": "it waits for the stage before",
    "JobArrayTaskLimit": "as many tasks of its array run already as may at once",
    "Licenses": "it waits for licences",
    "PartitionDown": "its partition is closed for the time being",
    "PartitionInactive": "its partition is closed for the time being",
    "Priority": "others are before it",
    "ReqNodeNotAvail": "the nodes that it asks for are down or reserved",
    "Resources": "it waits for free nodes",
}
_MEANINGS_BY_BEGINNING = {
    "Assoc": "your account is at a limit; it starts when other jobs have ended",
    "QOS": "your quality of service is at a limit; it starts when other jobs have ended",
}
_NEVER = {
    "BadConstraints": "no node is as it asks: correct cluster.constraint, gres, memory_gb or cpus_per_task",
    "DependencyNeverSatisfied": "the job before it has failed",
    "InvalidAccount": "its account may not be used: correct cluster.account",
    "InvalidQOS": "its quality of service may not be used: correct cluster.qos",
    "PartitionNodeLimit": "it asks for more nodes than its partition gives",
    "PartitionTimeLimit": "it asks for more time than its partition gives: lower cluster.time_limit_minutes",
}
_STATES_OF_HELD = ("REQUEUE_HOLD", "SPECIAL_EXIT")


def meaning(job: QueuedJob) -> str:
    """Why it waits, in plain words; empty where Slurm's own word must do."""
    if job.state != "PENDING":
        return ""
    by_beginning = (words for beginning, words in _MEANINGS_BY_BEGINNING.items() if job.reason.startswith(beginning))
    return _MEANINGS.get(job.reason) or next(by_beginning, "")


def held(jobs: Iterable[QueuedJob]) -> list[dict[str, str]]:
    """The jobs that will not start by themselves, each with its remedy; an array that is held is one job."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for job in jobs:
        if (remedy := _remedy(job)) is not None:
            found.setdefault(
                (job.array_id, job.reason), {"job_id": job.array_id, "reason": job.reason, "remedy": remedy}
            )
    return list(found.values())


def _remedy(job: QueuedJob) -> str | None:
    if job.state not in ("PENDING", *_STATES_OF_HELD):
        return None
    if job.reason in _NEVER:
        return f"{_NEVER[job.reason]}; scancel {job.array_id}"
    if job.reason == "JobHeldAdmin":
        return f"scontrol release {job.array_id}; if that is refused, ask the administrators, who hold it"
    if job.reason == "JobHoldMaxRequeue":  # Slurm 22.05 lets nobody else release it
        return (
            f"it lost its node more often than Slurm puts a job back: scontrol release {job.array_id}; if that is "
            "refused, cancel it and start it again, which goes on from its newest checkpoint"
        )
    is_held = job.state in _STATES_OF_HELD or job.reason == "JobHeldUser" or "held" in job.reason
    return f"scontrol release {job.array_id}" if is_held else None
