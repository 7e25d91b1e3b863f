"""More pairs than an array may have tasks: all their clips come to be, each once, whatever happens to tasks midway."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurm.devcluster import cluster as clusters
from slurm.devcluster.commands import do
from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import PAIRS, SLURM, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-m"), pytest.mark.timeout(600)]

NUM_CHECKPOINTS, NUM_PAIRS, ARRAY_SIZE, PARALLEL = 5, 25, 21, 4
# What is preempted here is requeued at once.
PLACE = [*SLURM, "cluster.partition=nograce", f"cluster.max_parallel={PARALLEL}"]


@dataclass(frozen=True)
class Task:
    """A task that runs, with its process as this machine numbers it."""

    job: str
    pid: int
    node: str
    done: Path

    @property
    def number(self) -> int:
        return int(self.job.partition("_")[2])

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def is_stopped_midway(self) -> bool:
        """Whether SIGSTOP came before it was done."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state == "T" and not self.done.exists()


def running_tasks(user: User, arrays: list[str]) -> Iterator[Task]:
    """Those of the arrays that have a process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, KeyError, ValueError):
            words = (folder / "cmdline").read_bytes()
            if b"submitit.core._submit" not in words or words.startswith(b"srun"):
                continue
            pairs = (pair.partition(b"=") for pair in (folder / "environ").read_bytes().split(b"\0"))
            values = {name.decode(): value.decode() for name, _, value in pairs}
            if values["SLURM_ARRAY_JOB_ID"] in arrays and values["SLURM_CLUSTER_NAME"] == user.shell.cluster.name:
                job = f"{values['SLURM_ARRAY_JOB_ID']}_{values['SLURM_ARRAY_TASK_ID']}"
                yield Task(job, int(folder.name), values["SLURMD_NODENAME"], Path(values["WAVENET_DONE"]))


def identities(run: RunPaths) -> dict[str, tuple[int, int]]:
    """Inode and time of each clip's mark of completion: a clip that is made again has others."""
    states = {path.name: path.stat() for path in run.generated.glob("*.json")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


@dataclass(frozen=True)
class Array:
    """What was submitted, and what was seen while it ran."""

    run: RunPaths
    said: str
    said_again: str
    early: dict[str, tuple[int, int]]
    killed: Task
    preempted: Task
    on_lost_node: Task
    most_running: int

    @property
    def folder(self) -> Path:
        (folder,) = self.run.jobs.glob("generate-*")
        return folder

    def starts(self, task: Task) -> int:
        return len(list(self.folder.glob(f"{task.job}_0_restart-*.log")))


def hold(user: User, arrays: list[str]) -> dict[str, Task]:
    """As many tasks as run at once, each stopped in the middle. They last a second: there is no time to pause."""
    held: dict[str, Task] = {}
    deadline = time.monotonic() + PATIENCE
    while len(held) < PARALLEL:
        assert time.monotonic() < deadline, f"held only {sorted(held)}"
        for task in running_tasks(user, arrays):
            task.send(signal.SIGSTOP)
            if task.is_stopped_midway():
                held[task.job] = task
            else:
                task.send(signal.SIGCONT)
    return held


@pytest.fixture(scope="module")
def array(limited: User, many: RunPaths) -> Array:
    """Some clips are made; then one task is killed, one preempted, and the node of a third one lost."""
    user, cluster = limited, limited.shell.cluster
    said = user.wavenet("generate", "run=many", *PLACE, *PAIRS)
    ids = re.findall(r"wavenet-generate-many as job (\d+)", said)
    wait_until(lambda: len(identities(many)) >= PARALLEL, PATIENCE)
    held = hold(user, ids)
    early = identities(many)
    again = user(user.program.wavenet, "generate", "run=many", *PLACE, *PAIRS)
    killed, preempted = sorted(held.values(), key=lambda task: task.node)[:2]
    on_lost_node = max(held.values(), key=lambda task: task.node)
    killed.send(signal.SIGKILL)
    urgent = ("--partition=urgent", "--exclusive", f"--nodelist={preempted.node}")
    user.shell.submit("urgent", "sleep 20", *urgent)
    do(["scontrol", "update", f"NodeName={on_lost_node.node}", "State=DOWN", "Reason=test"], cluster)
    for task in held.values():
        task.send(signal.SIGCONT)
    counts: list[int] = []

    def is_over() -> bool:
        jobs = user.shell("squeue", "--noheader", "--array", f"--jobs={','.join(ids)}", "--format=%T").split()
        counts.append(jobs.count("RUNNING"))
        return not jobs

    wait_until(is_over, PATIENCE)
    clusters.wait_until_idle(cluster, PATIENCE)  # a node that an administrator has set down comes back by itself here
    return Array(many, said, again.stderr, early, killed, preempted, on_lost_node, max(counts))


def test_pairs_beyond_the_largest_array_become_a_second_one(array: Array) -> None:
    """Which waits for the first: together they never run more tasks than the profile allows."""
    sizes = [int(size) for size in re.findall(r"with (\d+) tasks", array.said)]
    assert sizes == [ARRAY_SIZE, NUM_PAIRS - ARRAY_SIZE]
    assert array.most_running <= PARALLEL


def test_what_is_being_generated_is_not_submitted_again(array: Array) -> None:
    """The sentence names the jobs that do it."""
    assert re.match(r"wavenet: the run 'many' generates already: job 1.* RUNNING", array.said_again)


def test_all_pairs_are_there_whatever_happened_on_the_way(array: Array) -> None:
    """Killed, preempted and lost tasks have come back and come to their end."""
    pairs = {(made["step"], made["class_id"]) for made in map(read, array.run.generated.glob("*.json"))}
    assert len(pairs) == len(list(array.run.generated.glob("*.wav"))) == NUM_PAIRS
    assert [array.starts(task) for task in (array.killed, array.preempted, array.on_lost_node)] == [2, 2, 2]


def read(path: Path) -> dict[str, object]:
    facts: dict[str, object] = json.loads(path.read_text("utf-8"))
    return facts


def test_no_clip_is_made_twice(array: Array, limited: User) -> None:
    """Those made before the trouble are the same files; each task was done once; the command again submits nothing."""
    after = identities(array.run)
    assert array.early.items() <= after.items()
    decisions = (array.run.jobs / "decisions.log").read_text("utf-8")
    done = re.findall(r" job (\d+_\d+) restart \d+ on \w+: done\n", decisions)
    assert len(done) == len(set(done)) == NUM_PAIRS
    said = limited.wavenet("generate", "run=many", *PLACE, *PAIRS)
    assert f"{NUM_PAIRS} clips of {NUM_CHECKPOINTS} checkpoints, {NUM_PAIRS} of them there already\n" in said
    assert "submitted" not in said
    assert identities(array.run) == after


def test_status_counts_the_tasks_of_all_arrays(array: Array, limited: User) -> None:
    """As one stage."""
    (state,) = json.loads(limited.wavenet("status", "run=many", "--json"))
    (stage,) = [stage for stage in state["stages"] if stage["stage"] == "generate"]
    assert (stage["state"], stage["num_tasks"], stage["num_done"]) == ("done", NUM_PAIRS, NUM_PAIRS)
