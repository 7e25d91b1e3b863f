"""What its user has cancelled never comes back: in whatever state it was, and in whichever of two ways."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.small import SMALL
from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import CLIPS, SLURM, Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-s"), pytest.mark.timeout(600)]

# All the time that a job of these has it spends before its program: nothing comes to an end by itself.
ASLEEP = "cluster.setup=['sleep 600']"
STATES = {
    "pending": ["cluster.sbatch=['begin=now+3600']"],
    "held": ["cluster.sbatch=[hold]"],
    "running": [ASLEEP],
    "requeued": [ASLEEP],
    "grace": ["cluster.partition=preemptible", "cluster.cpus_per_task=2"],
}
WAYS = ("wavenet cancel", "scancel")
TRAININGS = [f"{state}, {way}" for state in STATES for way in WAYS]


@pytest.fixture(scope="module")
def user(difficult: User) -> User:
    return difficult


@pytest.fixture(scope="module")
def trainings(user: User) -> dict[str, Story]:
    """A run in each state, cancelled in each way, and what was left when all was over."""
    with ThreadPoolExecutor(4) as pool:
        reached = dict(zip(TRAININGS, pool.map(lambda name: _reach(user, name), TRAININGS), strict=True))
    for name, (story, frozen) in reached.items():
        _cancel(user, name, [story.job], f"run={name}")
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    _wait_until_nothing_is_left(user)
    return {name: story for name, (story, _) in reached.items()}


def _reach(user: User, name: str) -> tuple[Story, list[int]]:
    """A run whose job is in its state, and the processes that had to be stopped for that."""
    state = name.partition(",")[0]
    story = user.train(name, *STATES[state])
    if state == "grace":
        return story, _freeze_in_grace(user, story)
    if state in ("running", "requeued"):
        user.shell.wait_for_state(story.job, "RUNNING", seconds=PATIENCE)
    if state == "requeued":
        user.shell("scontrol", "requeue", story.job)
        story.shell.wait_for_state(story.job, "PENDING", seconds=PATIENCE)
        # Or it would start again in some seconds.
        user.shell("scontrol", "update", f"JobId={story.job}", "StartTime=now+3600")
    return story, []


def _freeze_in_grace(user: User, story: Story) -> list[int]:
    """Preempt the run, and stop what stands between its program, which has saved and ended, and its batch script."""
    story.hold()
    between = _srun_of(story)
    for pid in between:
        os.kill(pid, signal.SIGSTOP)
    user.shell.submit("urgent", "sleep 1", "--partition=urgent", "--exclusive", f"--nodelist={story.node()}")
    wait_until(lambda: story.causes() == ["preemption"], PATIENCE)
    return between


def _srun_of(story: Story) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"srun" and f"--output={story.run.jobs}/".encode() in b" ".join(words):
                found.append(int(folder.name))
    return found


def _cancel(user: User, name: str, jobs: list[str], what: str) -> None:
    if name.endswith("wavenet cancel"):
        said = user.wavenet("cancel", what)
        assert all(f"job {job}" in said for job in jobs)
    else:
        user.shell("scancel", *jobs)


def _wait_until_nothing_is_left(user: User) -> None:
    """No job in the queue, and no batch script that could submit or requeue one."""
    wait_until(lambda: user.shell("squeue", "--noheader") == "" and not _has_scripts(user), PATIENCE)


def _has_scripts(user: User) -> bool:
    spool = str(user.shell.cluster.folder).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            if words.endswith(b"slurm_script\0") and spool in words:
                return True
    return False


@pytest.mark.parametrize("name", TRAININGS)
def test_a_cancelled_training_never_comes_back(trainings: dict[str, Story], name: str) -> None:
    """With nothing left that could start it, its job is cancelled, it has no successor, and no attempt came after."""
    story = trainings[name]
    assert story.shell.state(story.job) == "CANCELLED"
    assert [line.split()[0] for line in (story.run.jobs / "submitted").read_text("utf-8").splitlines()] == [story.job]
    assert len(list(story.run.history.glob("*"))) == (1 if name.startswith("grace") else 0)


@pytest.mark.parametrize("way", WAYS)
def test_in_its_grace_time_a_job_saves_and_is_told_apart_from_a_preempted_one(
    trainings: dict[str, Story], way: str
) -> None:
    """Its script sees the cancellation, though the job was preempted before."""
    reason = {"wavenet cancel": "stopped by the user", "scancel": "cancelled"}[way]
    assert f"ended with 75, {reason}: not requeued\n" in trainings[f"grace, {way}"].decisions()


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_preparation_never_comes_back(user: User, way: str) -> None:
    """None of its stages comes to its end; while they are in the queue they are not submitted twice."""
    data = f"data, {way}"
    words = ["prepare", "source=music", f"data={data}", *SLURM, *CLIPS, ASLEEP]
    stages = dict(re.findall(r"wavenet-(\w+)-.* as job (\d+)", user.wavenet(*words)))
    assert list(stages) == ["plan", "prepare", "index"]
    user.shell.wait_for_state(stages["plan"], "RUNNING", seconds=PATIENCE)
    again = user(user.program.wavenet, *words)
    assert (again.returncode, "`wavenet cancel data=" in again.stderr) == (5, True)
    _cancel(user, way, list(stages.values()), f"data={data}")
    _wait_until_nothing_is_left(user)
    assert {user.shell.state(job) for job in stages.values()} == {"CANCELLED"}
    assert not (user.shell.home / data / "plan.json").exists()


@pytest.fixture(scope="module")
def trained(user: User) -> RunPaths:
    """A run that there is something to generate from."""
    user.wavenet("train", "run=trained", "data=data", "training.num_steps=2", *SMALL, "cluster=local")
    return RunPaths(user.shell.home / "runs" / "trained")


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_array_never_comes_back(user: User, trained: RunPaths, way: str) -> None:
    """Neither the task that runs nor those that wait for it."""
    words = [*SLURM, "generate.seconds=0.05", "cluster.pairs_per_task=1", "cluster.max_parallel=1", ASLEEP]
    found = re.search(r" as job (\d+) with", user.wavenet("generate", "run=trained", *words))
    assert found
    queue = ("squeue", "--noheader", "--array", "--states=all", f"--jobs={found[1]}", "--format=%T")
    wait_until(lambda: set(user.shell(*queue).split()) == {"RUNNING", "PENDING"}, PATIENCE)
    _cancel(user, way, [found[1]], "run=trained")
    _wait_until_nothing_is_left(user)
    assert set(user.shell(*queue).split()) == {"CANCELLED"}
    assert list(trained.generated.glob("gen_*")) == []
