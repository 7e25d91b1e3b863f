"""What goes wrong with a run by itself: it hangs, its memory runs out, its host kills it, its hours are over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import SLURM, TINY, Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-f"), pytest.mark.timeout(900)]

# Every interpreter that the user starts with these variables waits for a word in a file, and does it.
DOES_AS_TOLD = """
import ctypes, os, threading, time

def obey(place):
    while True:
        time.sleep(0.05)
        try:
            os.rename(place, place + ".taken")
        except OSError:
            continue
        if open(place + ".taken").read() == "hang":
            library = ctypes.PyDLL(None)  # never gives the interpreter's lock back
            while True:
                library.sleep(10000)
        bytes(4 << 30).replace(b"\\0", b"x")  # more memory than the job has

if "FAULT" in os.environ:
    threading.Thread(target=obey, args=(os.environ["FAULT"],), daemon=True).start()
"""
RUNS = {  # that with two nodes goes to the first of them, again and again
    "host": ["cluster.memory_gb=1", "cluster.exclude='{2},{3},{4},{5}'"],
    "hang": ["cluster.memory_gb=1", "training.hang_seconds=15", "cluster.sbatch=['nodelist={2}']"],
    "memory": ["cluster.memory_gb=1", "cluster.sbatch=['nodelist={3}']"],
    "hopeless": ["cluster.memory_gb=0.03", "cluster.idle_restarts=2", "cluster.sbatch=['nodelist={4}']"],
    "hours": ["cluster.memory_gb=1", "training.max_hours=0.0001", "cluster.sbatch=['nodelist={4}']"],
    "untouched": ["cluster.memory_gb=1", "cluster.sbatch=['nodelist={5}']"],
}
ALONE = "cluster.cpus_per_task=2"  # nobody else on its node


@pytest.fixture(scope="module")
def user(settle_in: Callable[..., User]) -> User:
    """On a cluster that holds jobs to the memory that they asked for."""
    limits = ("TaskPlugin=task/cgroup", "SelectTypeParameters=CR_Core_Memory")
    user = settle_in("f", num_nodes=6, grace_seconds=4, is_isolated=True, settings=limits)
    assert user("mkdir", "faults").returncode == 0
    (user.shell.home / "faults" / "sitecustomize.py").write_text(DOES_AS_TOLD, "utf-8")
    return user


@pytest.fixture(scope="module")
def stories(user: User) -> dict[str, Story]:
    """Runs after their fault, each one's own, and what became of them."""
    with ThreadPoolExecutor(len(RUNS)) as pool:  # each is caught at its start, whatever the others take
        stories = dict(zip(RUNS, pool.map(lambda name: _live(user, name), RUNS), strict=True))
    for name in set(stories) - {"hopeless"}:
        wait_until(stories[name].is_finished, PATIENCE)
    for story in stories.values():
        story.wait_for_the_end()
    return stories


def _live(user: User, name: str) -> Story:
    """Begin a run, and let its fault happen to it, if it does not come by itself."""
    story = _begin(user, name)
    if name == "host":
        _kill_twice(story)
    elif name == "hours":
        _give_more_hours(user, story)
    elif name in ("hang", "memory"):
        _tell(user, story, name)
    return story


def _begin(user: User, name: str, *more: str) -> Story:
    words = [word.format(*["", *user.shell.cluster.nodes]) for word in (*RUNS[name], *more)]
    folder = user.shell.home / "faults"
    variables = [f"FAULT={folder / name}", f"PYTHONPATH={folder}"]
    command = [user.program.wavenet, "train", f"run={name}", *TINY, *SLURM, ALONE, *words]
    done = user("env", *variables, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    job = done.stdout.partition(" as job ")[2].split(";")[0]
    return Story(user.shell, RunPaths(user.shell.home / "runs" / name), job)


def _tell(user: User, story: Story, name: str) -> None:
    pid = story.hold()
    (user.shell.home / "faults" / name).write_text(name, "utf-8")
    os.kill(pid, signal.SIGCONT)


def _kill_twice(story: Story) -> None:
    for attempt in (1, 2):
        os.kill(story.hold(attempt), signal.SIGKILL)


def _give_more_hours(user: User, story: Story) -> None:
    """When `status` has said why the first job of the run has ended."""
    story.wait_for_the_end()
    assert "training.max_hours=0.0001 together, and have" in user.wavenet("status", "run=hours")
    _begin(user, "hours", "training.max_hours=9")


@pytest.mark.parametrize(
    ("name", "causes"),
    [
        ("host", ["crash", "crash", "finished"]),
        ("hang", ["hang", "finished"]),
        ("memory", ["out of memory", "finished"]),
        ("hours", ["hours used up", "finished"]),
    ],
)
def test_the_fault_is_named_and_the_run_ends_with_the_same_bytes(
    stories: dict[str, Story], name: str, causes: list[str]
) -> None:
    """It starts again by itself, after a pause that the queue keeps; for want of hours when its user gives more."""
    story = stories[name]
    assert story.causes() == causes
    assert story.last_files() == stories["untouched"].last_files()
    assert "was refused" not in story.decisions()


def test_a_hang_leaves_the_stacks_of_its_threads(stories: dict[str, Story]) -> None:
    """Where they were though none of them could run; history and log name the file."""
    story = stories["hang"]
    stacks = story.run.stacks(1, 0)
    assert "obey" in stacks.read_text("utf-8")
    assert str(stacks) in story.attempts()[0].detail
    (log,) = story.run.jobs.glob("train-*/*_restart-0.log")
    assert f"wavenet: hang: {story.attempts()[0].detail}" in log.read_text("utf-8")


def test_memory_that_runs_out_says_what_to_change(stories: dict[str, Story]) -> None:
    """And how much there was."""
    detail = stories["memory"].attempts()[0].detail
    assert "cluster.memory_gb" in detail
    assert "1,024 MiB" in detail or "1024 MB" in detail


def test_a_host_with_two_faults_is_stayed_away_from(stories: dict[str, Story], user: User) -> None:
    """Slurm is told, and so is the user."""
    story = stories["host"]
    first, second, third = story.attempts()
    assert first.host == second.host != third.host
    assert third.excluded == [first.host]
    job = story.shell("scontrol", "--oneliner", "show", "job", story.job)
    hosts = story.shell("scontrol", "show", "hostnames", job.partition("ExcNodeList=")[2].split()[0])
    assert sorted(hosts.split()) == list(user.shell.cluster.nodes[:5])
    assert f"stays away from {first.host}" in user.wavenet("status", "run=host")


def test_restarts_without_progress_come_to_an_end_that_says_why(stories: dict[str, Story], user: User) -> None:
    """After as many as the profile allows."""
    assert stories["hopeless"].decisions().count("(out of memory, 31 MB asked for)") >= 3
    said = user.wavenet("status", "run=hopeless")
    assert "out of memory" in said
    assert "3 times in a row without a new checkpoint: given up" in said


def test_the_only_host_that_a_job_may_use_is_used_again(stories: dict[str, Story]) -> None:
    """After two faults as well: Slurm would let a job wait for ever that asks for it and stays away from it."""
    story = stories["hopeless"]
    assert f"the host {story.shell.cluster.nodes[3]} had two faults without a new checkpoint" in story.decisions()
    assert not list(story.run.jobs.glob("train-*/*.excluded"))
