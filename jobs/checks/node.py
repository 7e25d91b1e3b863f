"""What is looked at on a compute node, by a tiny job; it comes back in a file of the folder that the job came from."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.checks import machine, storage
from jobs.checks.finding import Finding, Group
from jobs.environment import host_name, placement
from jobs.folders import shown
from jobs.queue import scheduler
from wavenet import durable

_LATE_SECONDS = 60.0  # a network file system may show a new folder so late
_ASK_FOR_SCONTROL = "ask the administrators for scontrol on the compute nodes"


@dataclass(frozen=True)
class Visited:
    """A folder to be looked at, by its name; ``sign`` was made in or above it where the job came from."""

    name: str
    folder: Path
    sign: Path


@dataclass(frozen=True)
class Errand:
    """What the job is to do; ``options`` are those with which it would submit a successor."""

    answer: Path
    visited: tuple[Visited, ...]
    wants: machine.Wants
    options: tuple[str, ...]


def run(errand: Errand) -> None:
    """Look at the node and write down what was found."""
    host = host_name()
    group = Group(f"compute node {host}")
    found, numerics = machine.examine(group, errand.wants)
    found += _slurm(errand, group)
    for visited in errand.visited:
        there = Group(f"{visited.name} {shown(visited.folder)}, from {host}")
        found += [_shared(visited, there), *storage.examine(visited.folder, there)]
    content = {"host": host, "numerics": asdict(numerics), "findings": [finding.to_dict() for finding in found]}
    durable.write_json(errand.answer, content)


def _shared(visited: Visited, group: Group) -> Finding:
    """Whether what was made there where the job came from is seen here."""
    end = time.monotonic() + _LATE_SECONDS
    while not visited.sign.exists():
        if time.monotonic() > end:
            remedy = "put it on a file system that login and compute nodes share, with root=, run= or data="
            return group.problem("shared", "this folder is not the same here as at your prompt", remedy)
        time.sleep(0.5)
    return group.ok("shared", "this folder is the same here as at your prompt")


def _slurm(errand: Errand, group: Group) -> list[Finding]:
    """By scontrol a job puts itself back into the queue; by sbatch it submits a successor where that is refused."""
    job_id = placement().job_id or ""
    has_scontrol = bool(scheduler.settings())
    is_dropped = has_scontrol and scheduler.facts_of(job_id).get("Requeue") == "0"
    refusal = scheduler.would_refuse(errand.options)
    found = _requeue(refusal, group, has_scontrol=has_scontrol, is_dropped=is_dropped)
    return [_queue(job_id, group), found, _submit(refusal, group, has_scontrol=has_scontrol)]


def _queue(job_id: str, group: Group) -> Finding:
    """Without squeue a job cannot tell a preemption from its user's scancel, and does not come back."""
    if scheduler.ask([job_id]) is None:
        remedy = "ask the administrators for squeue on the compute nodes; until then start interrupted runs again"
        return group.problem("squeue", "squeue does not work here, so a job that is interrupted stays away", remedy)
    return group.ok("squeue", "squeue works here, so a job finds out why it is ended")


def _requeue(refusal: str | None, group: Group, *, has_scontrol: bool, is_dropped: bool) -> Finding:
    if not has_scontrol:
        found = "scontrol does not work here, so a job cannot put itself back into the queue"
        if refusal is None:
            found = f"{found}; it submits a successor instead, with another id"
            return group.warning("scontrol", found, _ASK_FOR_SCONTROL)
        remedy = f"{_ASK_FOR_SCONTROL}; until then start a run again when it was interrupted"
        return group.problem("scontrol", found, remedy)
    if is_dropped:
        found = "this job asked to be put back when it is interrupted, and Slurm has it down as one that is not"
        return group.problem("scontrol", found, "ask the administrators why --requeue is dropped")
    return group.ok("scontrol", "scontrol works here, so a job can put itself back into the queue")


def _submit(refusal: str | None, group: Group, *, has_scontrol: bool) -> Finding:
    if refusal is None:
        return group.ok("sbatch", "jobs may be submitted from here")
    remedy = "nothing while scontrol works; on a partition that cancels jobs, start the run again after a preemption"
    if not has_scontrol:
        remedy = "ask the administrators for sbatch on the compute nodes"
    return group.warning("sbatch", f"no job may be submitted from here: {refusal}", remedy)
