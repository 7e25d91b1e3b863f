"""Nodes are lost, processes killed and steps too long for the time that is left: a run goes on from what is saved.

What happened is told by its history, by status and by the report's data, also where nobody was there to write it down.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slurm.devcluster import nodes
from slurm.devcluster.commands import do
from wavenet.checkpoint.store import list_committed
from wavenet.report.gather import gather
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history

from .shell import PATIENCE, wait_until
from .user import TINY, Story, User

# One worker brings this cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-l"), pytest.mark.timeout(900)]

ALONE = "cluster.cpus_per_task=2"  # nobody else on its node
INTERVAL = 10
SHORT = ["training.num_steps=300", f"training.checkpoint_every={INTERVAL}"]
# Two steps of many seconds each: KillWait is 8.
LONG = [
    "training.num_steps=2",
    "training.window_samples=20000",
    "training.micro_batches=32",
    "training.micro_batch_size=2",
]
RUNS = {
    "down": SHORT,
    "slurmd": SHORT,
    "power": SHORT,
    "grace": [*SHORT, "cluster.partition=preemptible"],
    "long": [*LONG, "cluster.partition=nograce"],
    "killed": [*LONG, "cluster.partition=preemptible", "training.checkpoint_every=1"],
}
TOLD_IN_TIME = ("down", "grace", "long")


@pytest.fixture(scope="module")
def user(settle_in: Callable[..., User]) -> User:
    """On a cluster that takes a silent node for lost soon, with more nodes than will be lost or taken."""
    # A node that was set down stays down, as on most sites.
    settings = ("SlurmdTimeout=10", "ReturnToService=1")
    return settle_in("l", num_nodes=9, grace_seconds=15, is_isolated=True, settings=settings)


@pytest.fixture(scope="module")
def stories(user: User) -> dict[str, Story]:
    """Runs in the middle of whose training something happened, and what became of them."""
    cluster = user.shell.cluster
    with ThreadPoolExecutor(4) as pool:
        told_at_once = pool.submit(_told_at_once, user)
        begun = dict(zip(RUNS, pool.map(lambda name: _begin(user, name), RUNS), strict=True))
    stories = {name: story for name, (story, _) in begun.items()} | {"start": told_at_once.result()}
    do(["scontrol", "update", f"NodeName={stories['down'].node()}", "State=DOWN", "Reason=test"], cluster)
    nodes.kill_slurmd(cluster, stories["slurmd"].node())
    nodes.power_off(cluster, stories["power"].node())
    _take_node(user, stories["grace"])
    _let_zombie_go_on(stories["slurmd"], begun["slurmd"][1])
    for story in stories.values():
        wait_until(lambda story=story: story.causes()[-1:] == ["finished"], PATIENCE)
    user("scancel", "--name=urgent")
    return stories


def _begin(user: User, name: str) -> tuple[Story, int]:
    """Submit a run and bring it to where something will happen to it, in the middle of a step."""
    story = user.train(name, ALONE, *RUNS[name])
    if RUNS[name][: len(LONG)] != LONG:
        wait_until(lambda: bool(list_committed(story.run)), PATIENCE)
        return story, story.hold()
    wait_until(lambda: bool(story.attempts() and read_history(story.run).steps), PATIENCE)
    pid = story.pid()
    _take_node(user, story)
    if name == "killed":
        wait_until(lambda: story.attempts()[0].told is not None, PATIENCE)
        os.kill(pid, signal.SIGKILL)
    return story, pid


def _take_node(user: User, story: Story) -> None:
    user.shell.submit("urgent", "sleep 600", "--partition=urgent", "--exclusive", f"--nodelist={story.node()}")


def _let_zombie_go_on(story: Story, pid: int) -> None:
    """Slurm has given its node up and started the job again elsewhere."""
    wait_until(lambda: len(story.attempts()) == 2, PATIENCE)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), PATIENCE)


def _told_at_once(user: User) -> Story:
    """The time limit's warning comes when the process has hardly been started."""
    story = user.train("start", *SHORT)
    wait_until(lambda: _is_started(story), PATIENCE)
    os.kill(story.pid(), signal.SIGUSR2)
    return story


def _is_started(story: Story) -> bool:
    with contextlib.suppress(AssertionError):
        return story.pid() > 0
    return False


@pytest.fixture(scope="module")
def untouched(user: User, stories: dict[str, Story]) -> Callable[[str], dict[str, bytes]]:
    """The last files of the same run without Slurm, and without anything happening to it."""
    made: dict[bool, dict[str, bytes]] = {}

    def last_files(name: str) -> dict[str, bytes]:
        is_long = name in ("long", "killed")
        if is_long not in made:
            run = f"untouched-{is_long}"
            user.wavenet("train", f"run={run}", *TINY, *(LONG if is_long else SHORT), "cluster=local")
            made[is_long] = Story(user.shell, RunPaths(user.shell.home / "runs" / run), "").last_files()
        return made[is_long]

    return last_files


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("down", "node failure"),
        ("slurmd", "node failure"),
        ("power", "node failure"),
        ("grace", "preemption"),
        ("long", "preemption"),
        ("killed", "preemption"),
    ],
)
def test_it_goes_on_by_itself_and_everybody_says_why(
    stories: dict[str, Story], untouched: Callable[[str], dict[str, bytes]], user: User, name: str, cause: str
) -> None:
    """The last files are those of an untouched run; history, status and the report's data name the cause."""
    story = stories[name]
    assert story.causes() == [cause, "finished"]
    assert [attempt.cause for attempt in gather(story.run).history.attempts] == [cause, "finished"]
    status = json.loads(user.wavenet("status", f"run={name}", "--json"))
    assert [restart["cause"] for restart in status[0]["restarts"]] == [cause]
    assert {attempt.job_id for attempt in story.attempts()} == {story.job}
    assert story.last_files() == untouched(name)


@pytest.mark.parametrize("name", TOLD_IN_TIME)
def test_what_was_told_in_time_loses_no_finished_step(stories: dict[str, Story], name: str) -> None:
    """Also where the step that was being made would have taken longer than the process had to live."""
    before, after = stories[name].attempts()
    assert after.resumed_step == before.last_step > 0


@pytest.mark.parametrize("name", [name for name in RUNS if name not in TOLD_IN_TIME])
def test_what_was_not_told_loses_less_than_the_time_between_two_checkpoints(
    stories: dict[str, Story], name: str
) -> None:
    """What is committed stays."""
    before, after = stories[name].attempts()
    assert before.last_step - after.resumed_step <= (0 if name == "killed" else INTERVAL)
    assert after.resumed_step > 0


def test_a_warning_before_the_program_can_take_it_is_no_end(
    stories: dict[str, Story], untouched: Callable[[str], dict[str, bytes]]
) -> None:
    """Whether it kills Python or is taken before anything is done: the job comes back."""
    story = stories["start"]
    assert re.search(r"restart 0 on \w+: ended with (140|75): requeued", story.decisions())
    assert [attempt.restart_count for attempt in story.attempts()] == [1]
    assert story.last_files() == untouched("start")


def test_a_step_that_is_too_long_is_left_and_the_one_before_it_is_saved(stories: dict[str, Story]) -> None:
    """The process ends by itself before Slurm kills it, in the middle of its second step."""
    story = stories["long"]
    before, after = story.attempts()
    assert (before.last_step, after.resumed_step) == (1, 1)
    assert "in the middle of a step" in before.detail
    assert "ended with 75" in story.decisions()


def test_a_process_that_nobody_could_stop_changes_nothing(stories: dict[str, Story]) -> None:
    """It finds itself overtaken when it would save, and what it did meanwhile counts for nothing."""
    story = stories["slurmd"]
    fenced = (story.run.history / "attempt-0001.jsonl").read_text("utf-8")
    assert "has been overtaken" in fenced
    before, after = story.attempts()
    assert before.host != after.host
    assert {step.attempt for step in read_history(story.run).steps if step.step > after.resumed_step} == {2}
