"""The tiny job that looks at a compute node: submitted through the profile, waited for, and taken out of the queue."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs.checks import node
from jobs.checks.finding import Finding, Group
from jobs.checks.machine import Numerics, Wants
from jobs.checks.storage import nearest
from jobs.cluster import ClusterConfig, parameters
from jobs.environment import quiet_submitit
from jobs.folders import shown
from jobs.progress.log_files import list_outputs
from jobs.queue import scheduler
from jobs.tail import last_lines

NAME = "wavenet-doctor"
_MINUTES = 5
_RUN_SECONDS = 180.0  # importing torch from a busy network file system takes a while
_LATE_SECONDS = 10.0  # for an answer that is still on its way through a network file system
_POLL_SECONDS = 0.5
_OPTIONS = ("partition", "account", "qos", "constraint", "exclude", "reservation", "gres")
_GROUP = Group("compute node")


@dataclass(frozen=True)
class Answer:
    """What the job found, or why it found nothing. ``numerics`` is None where it did not come so far."""

    findings: list[Finding]
    host: str = ""
    numerics: Numerics | None = None


def examine(
    cluster: ClusterConfig, folders: Mapping[str, Path], wait_seconds: float, say: Callable[[str], None]
) -> Answer:
    """Look at a compute node.

    Args:
        folders: to be looked at from there, by name; the first one, or what is above it, carries the job's files.
        wait_seconds: how long the job may take to start; then it is cancelled.
        say: is told what is waited for.
    """
    with ExitStack() as ends:
        try:
            visited = [node.Visited(name, folder, _sign(folder, ends)) for name, folder in folders.items()]
            return _sent(cluster, tuple(visited), wait_seconds, say)
        except OSError as error:
            found = f"no job can be sent to a compute node: {error}"
            remedy = "choose folders that you may write to and that have room, with root=, run= or data="
            return Answer([_GROUP.problem("job", found, remedy)])


def _sign(folder: Path, ends: ExitStack) -> Path:
    """A new folder in or above ``folder``, for as long as ``ends`` says."""
    sign = Path(tempfile.mkdtemp(prefix=".wavenet-doctor-", dir=nearest(folder)))
    ends.callback(shutil.rmtree, sign, ignore_errors=True)
    return sign


def _sent(
    cluster: ClusterConfig, visited: tuple[node.Visited, ...], wait_seconds: float, say: Callable[[str], None]
) -> Answer:
    from submitit.core.utils import FailedJobError

    mailbox = visited[0].sign
    errand = node.Errand(mailbox / "answer.json", visited, Wants.of(cluster), _options(cluster))
    try:
        visit = _Visit(_submit(cluster, errand, mailbox), mailbox, wait_seconds, say)
    except FailedJobError as error:
        reason = str(error).strip().splitlines()[-1]
        remedy = "correct the profile's fields (cluster.*): every job of wavenet would be refused like this"
        return Answer([_GROUP.problem("job", f"Slurm does not take a job of this profile: {reason}", remedy)])
    try:
        return visit.answer()
    finally:
        if scheduler.ask([visit.job_id]) != []:
            scheduler.cancel([visit.job_id])


def _submit(cluster: ClusterConfig, errand: node.Errand, mailbox: Path) -> str:
    from submitit import SlurmExecutor

    quiet_submitit()
    # Short, so that it starts soon; and told of its end late, or Python would be told before it can listen.
    brief = replace(cluster, time_limit_minutes=min(_MINUTES, cluster.time_limit_minutes), warning_seconds=1, nodes=1)
    executor = SlurmExecutor(mailbox)
    executor.update_parameters(**{**parameters(brief, NAME), "stderr_to_stdout": True})
    return str(executor.submit(node.run, errand).job_id)


def _options(cluster: ClusterConfig) -> tuple[str, ...]:
    """Those of the profile that decide whether a job is taken, in sbatch's words."""
    asked = (f"--{name}={getattr(cluster, name)}" for name in _OPTIONS if getattr(cluster, name))
    return (f"--time={cluster.time_limit_minutes}", *asked)


@dataclass
class _Visit:
    """The job while it is waited for."""

    job_id: str
    mailbox: Path
    wait_seconds: float
    say: Callable[[str], None]
    job: scheduler.QueuedJob | None = None
    """As the queue has shown it last."""

    def answer(self) -> Answer:
        """What the job writes, or why it writes nothing in time."""
        end, has_begun, is_over = time.monotonic() + self.wait_seconds, False, False
        while True:
            if answer := self._read():
                return answer
            if time.monotonic() > end:
                return Answer([self._lost() if is_over else self._late(has_begun=has_begun)])
            jobs = scheduler.ask([self.job_id])
            if jobs == [] and not is_over:
                is_over, end = True, time.monotonic() + _LATE_SECONDS
            elif jobs and jobs[0].state != "PENDING" and not has_begun:
                has_begun, end = True, time.monotonic() + _RUN_SECONDS
            self.job = jobs[0] if jobs else self.job
            self.say(f"compute node: waiting for {self._words()}")
            time.sleep(_POLL_SECONDS)

    def _words(self) -> str:
        if self.job is None:
            return f"job {self.job_id}"
        why = f" ({self.job.reason})" if self.job.state == "PENDING" else ""
        return f"job {self.job_id}, which is {self.job.state}{why}"

    def _late(self, *, has_begun: bool) -> Finding:
        if has_begun:
            found = f"job {self.job_id} did not end in {_RUN_SECONDS:.0f} seconds{self._said()}"
            remedy = "see whether that node's file systems hang; keep away from it with cluster.exclude="
            return _GROUP.problem("job", found, remedy)
        found = f"no node was looked at: {self._words()}, did not start in {self.wait_seconds:.0f} seconds"
        return _GROUP.warning("job", found, "try again with a larger wait_seconds=, or when the cluster is less busy")

    def _lost(self) -> Finding:
        facts = scheduler.facts_of(self.job_id)
        where = facts.get("BatchHost") or facts.get("NodeList") or "its node"
        folder = shown(self.mailbox.parent)
        found = f"job {self.job_id} ran on {where}, ended as {facts.get('JobState', '?')}, and left nothing in {folder}"
        remedy = (
            f"put {folder} and the Python environment on file systems that login and compute nodes share, or load what "
            "Python needs in cluster.setup"
        )
        return _GROUP.problem("job", f"{found}{self._said()}", remedy)

    def _said(self) -> str:
        """The last line that the job printed."""
        lines = [line for path in list_outputs(self.mailbox) for line in last_lines(path) if line.strip()]
        return f": {lines[-1].strip()[:300]}" if lines else ""

    def _read(self) -> Answer | None:
        try:
            content: dict[str, Any] = json.loads((self.mailbox / "answer.json").read_text("utf-8"))
        except OSError:
            return None
        findings = [Finding.from_dict(values) for values in content["findings"]]
        return Answer(findings, content["host"], Numerics(**content["numerics"]))
