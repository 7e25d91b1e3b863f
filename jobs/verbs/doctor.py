"""``wavenet doctor``: what will and will not work on this machine and cluster, and the remedy."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from jobs.checks import machine, node_job, partition, settings, storage
from jobs.checks.finding import Finding, Group, Level, count
from jobs.checks.machine import Numerics
from jobs.cluster import ClusterConfig, Executor
from jobs.environment import has_slurm, host_name
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.queue import scheduler
from jobs.queue.submission import max_parallel
from jobs.terminal import Display, plural
from jobs.work.chain import MOST_WORKERS
from wavenet.audio.names import printable
from wavenet.errors import UnfitError, UsageError
from wavenet.settings import key

_ARRAYS, _SINGLE_JOBS = 2, 4  # that a chain submits


@dataclass(frozen=True, kw_only=True)
class DoctorKeys:
    """Keys of ``wavenet doctor``."""

    run: str = key("", "a run whose folder is to be looked at; empty: the folder root")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("data", "folder of shards, there or to be made")
    cluster: ClusterConfig
    wait_seconds: float = key(60.0, "how long the tiny job on a compute node may take to start; 0: send none")
    json: bool = key(False, "print JSON; --json does the same")

    def __post_init__(self) -> None:
        if self.wait_seconds < 0:
            raise UsageError(f"wait_seconds must be at least 0, got {self.wait_seconds:g}")


def doctor(keys: DoctorKeys) -> None:
    """Print what was found.

    Raises:
        UnfitError: something will not work; it has been printed.
    """
    display = None if keys.json else Display()
    findings: list[Finding] = []
    for some in _examined(keys, display):
        findings += some
        if display is not None:
            for line in in_words(some):
                display.line(line)
    problems, warnings = count(findings, Level.problem), count(findings, Level.warning)
    if display is None:
        content = {"host": host_name(), "num_problems": problems, "num_warnings": warnings}
        print(json.dumps({**content, "findings": [finding.to_dict() for finding in findings]}, indent=1))
    elif not problems:
        display.line("all of it will work" + (f", with {plural(warnings, 'warning')}" if warnings else ""))
    if problems:
        first = next(finding for finding in findings if finding.level is Level.problem)
        raise UnfitError(f"{plural(problems, 'problem')} found, the first in {first.group}: {first.found}")


def _examined(keys: DoctorKeys, display: Display | None) -> Iterable[list[Finding]]:
    """What is found, part by part: the slowest comes last."""
    cluster = keys.cluster
    is_slurm = cluster.executor is Executor.slurm
    here = Group(f"this machine ({host_name()})")
    found, numerics = machine.examine(here, machine.Wants.to_submit(cluster) if is_slurm else machine.Wants.of(cluster))
    yield found
    folders = {"runs": absolute(keys.root), "data": absolute(keys.data)}
    if keys.run:
        folders = {"run": run_paths(keys.run, keys.root).root, "data": absolute(keys.data)}
    for name, folder in folders.items():
        yield storage.examine(folder, Group(f"{name} {shown(folder)}"))
    if not is_slurm:
        return
    if not has_slurm():
        remedy = "log in to a machine of the cluster, or use cluster=local"
        yield [Group("Slurm").problem("commands", "sbatch is not on this machine's PATH", remedy)]
        return
    slurm = list(_slurm(cluster))
    yield slurm
    if keys.wait_seconds and not any(finding.check == "scontrol" for finding in slurm):
        say = display.show if display is not None else _nobody
        answer = node_job.examine(cluster, folders, keys.wait_seconds, say)
        yield [*answer.findings, *_compared(numerics, answer)]


def _nobody(_words: str) -> None:
    """Tells nobody."""


def _slurm(cluster: ClusterConfig) -> Iterable[Finding]:
    told = scheduler.settings()
    num_jobs = _SINGLE_JOBS + _ARRAYS * min(max_parallel(cluster), MOST_WORKERS)
    yield from settings.examine(told, scheduler.submit_limits(getpass.getuser()), num_jobs, Group("Slurm"))
    if told:
        yield from partition.examine(cluster, scheduler.partitions(), told)


def _compared(here: Numerics, answer: node_job.Answer) -> list[Finding]:
    """A run goes on only where it computes the same bits."""
    there = answer.numerics
    if there is None or not there.torch or here == there:
        return []
    found = f"torch {here.torch} with {here.instructions} here, {there.torch} with {there.instructions} there"
    remedy = (
        "start and go on with a run on nodes of one kind (cluster.constraint=), or accept the difference with "
        "'accept=[numerics.instructions]', which the report marks"
    )
    return [Group(f"compute node {answer.host}").warning("same bits", found, remedy)]


def in_words(findings: Sequence[Finding]) -> Iterable[str]:
    """For a person: group by group, each finding on a line, the remedy below it."""
    for group, members in groupby(findings, lambda finding: finding.group):
        yield group
        for one in members:
            yield printable(f"  {one.level.value:<8} {one.found}")
            if one.remedy:
                yield printable(f"           -> {one.remedy}")
