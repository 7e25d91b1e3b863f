"""What Slurm says about jobs: the only place that runs its commands. No accounting is needed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import outside
from jobs.environment import is_on_first_node, questions

if TYPE_CHECKING:
    import subprocess

_PATIENCE_SECONDS = 5.0
_SBATCH_SECONDS = 300.0  # sbatch tries again by itself for some two minutes where the controller has no room
_DEFAULT_ARRAY_SIZE = 1001
_FIELDS = "%i|%T|%r|%N|%S|%j"
_LOST_STATES = ("down", "fail", "no_respond", "powered_down", "reboot", "unknown")
_NAMES_BY_SQUEUE = {
    "State": "JobState",
    "RestartCnt": "Restarts",
    "PreemptTime": "PreemptTime",
    "EndTime": "EndTime",
    "TimeUsed": "RunTime",
    "TimeLimit": "TimeLimit",
    "Partition": "Partition",
    "BatchHost": "BatchHost",
    "SubmitTime": "SubmitTime",
    "EligibleTime": "EligibleTime",
    "StartTime": "StartTime",
}
"""Fields of squeue, none of which holds a space, and scontrol's names of them."""


@dataclass(frozen=True)
class QueuedJob:
    """A job, or one task of an array, that is in the queue: waiting, running or ending."""

    job_id: str
    """As the user knows it; 12_3 for a task of an array."""
    state: str
    reason: str
    nodes: str
    name: str
    start: str = "N/A"
    """When it began, or when Slurm expects it to, by the clock of the place where squeue runs."""

    @property
    def array_id(self) -> str:
        """The id as it was submitted."""
        return self.job_id.partition("_")[0]

    @property
    def start_time(self) -> datetime | None:
        """`start` with its offset; None where Slurm does not know."""
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(self.start).astimezone()
        return None


def ask(job_ids: Sequence[str]) -> list[QueuedJob] | None:
    """Those of the jobs that are in the queue; None where Slurm gives no answer.

    Slurm forgets a job some minutes after its end and then knows no such id, which is an answer.
    """
    if not job_ids:
        return []
    # --array: each waiting task of an array on a line of its own.
    done = _run(["squeue", "--noheader", "--array", f"--jobs={','.join(job_ids)}", f"--format={_FIELDS}"])
    if done is None:
        return None
    if done.returncode:
        if "Invalid job id" not in done.stderr:
            return None
        if len(job_ids) == 1:
            return []
        answers = [ask([job_id]) for job_id in job_ids]
        return None if None in answers else [job for answer in answers if answer for job in answer]
    rows = (line.split("|", 5) for line in done.stdout.splitlines())
    return [
        QueuedJob(job_id, _settled(state), reason, nodes, name, start)
        for job_id, state, reason, nodes, start, name in (row for row in rows if len(row) == 6)
    ]


def submit(script: Path, comment: str) -> tuple[str | None, str]:
    """Hand a batch script to sbatch, with a comment by which the job can be found.

    Returns:
        The job's id, or None and what sbatch complains about.
    """
    done = _run(["sbatch", "--parsable", f"--comment={comment}", str(script)], _SBATCH_SECONDS)
    if done is None:
        return None, "Socket timed out: sbatch gave no answer"
    job_id = done.stdout.strip().partition(";")[0]
    return (None, done.stderr) if done.returncode or not job_id.isdigit() else (job_id, "")


def with_comment(comment: str) -> list[str] | None:
    """Ids of this user's jobs and arrays with ``comment`` in theirs, over or not, oldest first; None: no answer."""
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--states=all", "--format=%F|%k"]
    done = _run(command)
    if done is None or done.returncode:
        return None
    rows = (line.partition("|") for line in done.stdout.splitlines())
    return sorted({job_id.strip() for job_id, _, theirs in rows if comment in theirs}, key=int)


def has_own_jobs() -> bool:
    """Whether this user has jobs in the queue, or may have."""
    done = _run(["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i"])
    return done is None or bool(done.returncode or done.stdout.strip())


def array_size() -> int:
    """How many tasks an array may have: their numbers begin at 0 and stay below MaxArraySize."""
    told = settings()
    limits = re.findall(r"max_array_tasks=(\d+)", told.get("SchedulerParameters", ""))
    limits += re.findall(r"\d+", told.get("MaxArraySize", ""))
    return max(1, min((int(limit) for limit in limits), default=_DEFAULT_ARRAY_SIZE))


def facts_of(job_id: str) -> dict[str, str]:
    """What ``scontrol show job`` says, by its own names; some of it where only squeue works, as on some compute nodes.

    Empty where there is no answer.
    """
    facts = _facts(["scontrol", "--oneliner", "show", "job", job_id]) or _facts_by_squeue(job_id)
    return {**facts, "JobState": _settled(facts["JobState"])} if "JobState" in facts else facts


def _settled(state: str) -> str:
    """A running job is SIGNALING for the moment in which its nodes have not yet answered that they passed a signal on.

    Whoever asks because of that signal would take it for a job that is ending.
    """
    return "RUNNING" if state == "SIGNALING" else state


def _facts_by_squeue(job_id: str) -> dict[str, str]:
    fields = ",".join(f"{name}:40" for name in _NAMES_BY_SQUEUE)
    done = _run(["squeue", "--noheader", "--states=all", f"--jobs={job_id}", f"--Format={fields}"])
    values = [] if done is None or done.returncode else done.stdout.split()
    facts = dict(zip(_NAMES_BY_SQUEUE.values(), values, strict=False))
    # scontrol writes the hours of a short time as well
    return {name: f"00:{value}" if re.fullmatch(r"\d+:\d\d", value) else value for name, value in facts.items()}


def facts_of_partition(name: str) -> dict[str, str]:
    """What ``scontrol show partition`` says."""
    return _facts(["scontrol", "--oneliner", "show", "partition", name])


def is_down(nodes: str) -> bool:
    """Whether Slurm has given up one of the nodes, or does not hear from it; they are written as Slurm does: n[1-3]."""
    done = _run(["sinfo", "--noheader", "--Node", f"--nodes={nodes}", "--format=%T"]) if nodes else None
    states = [] if done is None or done.returncode else done.stdout.split()
    return any(state.startswith(_LOST_STATES) or state.endswith("*") for state in states)


def boot_time(node: str) -> datetime | None:
    """When the node was started; None where there is no answer."""
    try:
        told = _facts(["scontrol", "--oneliner", "show", "node", node]).get("BootTime", "")
        return datetime.fromisoformat(told).astimezone()
    except ValueError:
        return None


def kill_wait() -> float | None:
    """Seconds that Slurm leaves a job between SIGTERM and SIGKILL; None where there is no answer."""
    found = re.match(r"\d+", settings().get("KillWait", ""))
    return float(found[0]) if found else None


def settings() -> dict[str, str]:
    """What ``scontrol show config`` says; empty where there is no answer."""
    done = _run(["scontrol", "show", "config"])
    lines = done.stdout.splitlines() if done is not None and not done.returncode else []
    return {key.strip(): value.strip() for key, mark, value in (line.partition("=") for line in lines) if mark}


def partitions() -> dict[str, dict[str, str]]:
    """What ``scontrol show partition`` says of each, by its name; empty where there is no answer."""
    done = _run(["scontrol", "--oneliner", "show", "partition"])
    lines = done.stdout.splitlines() if done is not None and not done.returncode else []
    found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return {facts["PartitionName"]: facts for facts in found if "PartitionName" in facts}


def submit_limits(user: str) -> dict[str, int]:
    """How many jobs the user may have in the queue, by Slurm's name of the limit; empty: no limit, or not known."""
    done = _run(["scontrol", "--oneliner", "show", "assoc_mgr", f"users={user}", "flags=assoc"])
    lines = done.stdout.splitlines() if done is not None and not done.returncode else []
    own = " ".join(line for line in lines if f"UserName={user}(" in line)
    limits: dict[str, int] = {}
    for name, number in re.findall(r"(MaxSubmitJobs|GrpSubmitJobs)=(\d+)\(", own):
        limits[name] = min(int(number), limits.get(name, int(number)))
    return limits


def would_refuse(options: Sequence[str]) -> str | None:
    """Why sbatch would not take a job with these options from here; None where it would. Nothing is submitted."""
    done = _run(["sbatch", "--test-only", *options, "--wrap=true"])
    if done is None:
        return "sbatch cannot be run, or gives no answer"
    return " ".join(done.stderr.split()) if done.returncode else None


def cancel(job_ids: Sequence[str]) -> str | None:
    """Cancel the jobs in every state; return Slurm's complaint, if any. A job that is over is no complaint."""
    done = _run(["scancel", *job_ids])
    if done is None:
        return "scancel gave no answer"
    complaint = done.stderr.strip()
    return complaint if done.returncode and "Invalid job id" not in complaint else None


def requeue(job_id: str) -> str | None:
    """Put a running job back into the queue; return Slurm's complaint, if any."""
    return _complaint(["scontrol", "requeue", job_id])


def signal_steps(job_id: str, name: str) -> str | None:
    """Send a signal, such as USR1, to what a job has started, not to its batch script; return a complaint, if any."""
    return _complaint(["scancel", f"--signal={name}", job_id])


def limit(job_id: str, minutes: int) -> str | None:
    """Give a job another time limit; return Slurm's complaint, if any."""
    return _complaint(["scontrol", "update", f"JobId={job_id}", f"TimeLimit={minutes}"])


def _complaint(command: Sequence[str]) -> str | None:
    done = _run(command)
    if done is None:
        return f"{command[0]} cannot be run, or gives no answer"
    return " ".join((done.stderr or done.stdout or "refused").split()) if done.returncode else None


def _facts(command: Sequence[str]) -> dict[str, str]:
    done = _run(command)
    if done is None or done.returncode:
        return {}
    return dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)


def _run(
    command: Sequence[str], seconds: float = _PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str] | outside.Answer | None:
    if (folder := questions()) is not None:
        return (outside.run if is_on_first_node() else outside.overhear)(folder, command, seconds)
    import subprocess  # `status` of runs that have no jobs starts without it

    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
