"""A training job comes back by itself from whatever Slurm does to it, with the same bytes in the end; or stays away."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slurm.devcluster.commands import do
from slurm.devcluster.record import Cluster
from wavenet.checkpoint.store import list_committed

from .shell import PATIENCE, wait_until
from .user import Story, User

# One worker brings the clusters up, once.
pytestmark = [pytest.mark.xdist_group("devcluster"), pytest.mark.timeout(600)]

ALONE = "cluster.cpus_per_task=2"  # nobody else on its node
PLACES = {
    "grace": ["cluster.partition=preemptible", ALONE],
    "no grace": ["cluster.partition=nograce", ALONE],
    "time limit": [],
    "requeue": ["cluster.partition=preemptible"],
    "kill": [],
    "cancel": [],
    "scancel": [],
}


@pytest.fixture(scope="module")
def stories(user: User, cluster: Cluster) -> dict[str, Story]:
    """Runs in the middle of whose training something happened, and what became of them."""
    with ThreadPoolExecutor(4) as pool:  # each is stopped as soon as it trains, before it can come to its end
        held = dict(zip(PLACES, pool.map(lambda name: _begin(user, name), PLACES), strict=True))
    stories = {name: story for name, (story, _) in held.items()}
    pids = {name: pid for name, (_, pid) in held.items()}
    limited = stories["time limit"]
    urgent = "--partition=urgent", "--exclusive"
    for name in ("grace", "no grace"):  # as long as these last, their runs have to go elsewhere
        user.shell.submit("urgent", "sleep 600", *urgent, f"--nodelist={stories[name].node()}")
    # Slurm tells a job of its end 90 + 30 seconds before it, or at once where less is left.
    user.shell("scontrol", "update", f"JobId={limited.job}", f"TimeLimit={limited.minutes() + 2}")
    user.shell("scontrol", "requeue", stories["requeue"].job)
    os.kill(pids["kill"], signal.SIGKILL)
    user.wavenet("cancel", "run=cancel")
    user.shell("scancel", stories["scancel"].job)
    wait_until(lambda: _is_told(pids["time limit"]), PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids["time limit"], signal.SIGCONT)
    wait_until(lambda: limited.causes()[0] != "running", PATIENCE)
    # Or it would be told again, before it comes to its end.
    do(["scontrol", "update", f"JobId={limited.job}", "TimeLimit=30"], cluster)
    for name, story in stories.items():
        if "cancel" not in name:
            wait_until(story.is_finished, PATIENCE)
        story.wait_for_the_end()
    user("scancel", "--name=urgent")
    return stories


def _begin(user: User, name: str) -> tuple[Story, int]:
    story = user.train(name, *PLACES[name])
    return story, story.hold()


def _is_told(pid: int) -> bool:
    """Whether the time limit's warning has reached the stopped process, or has set it going already."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return True
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return bool(int(fields["ShdPnd"], 16) >> (signal.SIGUSR2 - 1) & 1)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("grace", "preemption"),
        ("no grace", "preemption"),
        ("time limit", "time limit"),
        ("requeue", "requeue"),
        ("kill", "crash"),
    ],
)
def test_it_comes_back_and_ends_with_the_same_bytes(
    stories: dict[str, Story], untouched: Story, name: str, cause: str
) -> None:
    """Weights, averages and moments equal those of a run that nothing happened to; the history says what happened."""
    story = stories[name]
    assert story.causes() == [cause, "finished"]
    assert [attempt.restart_count for attempt in story.attempts()] == [0, 1]
    assert {attempt.job_id for attempt in story.attempts()} == {story.job}
    assert story.last_files() == untouched.last_files()
    assert story.shell.state(story.job) == "COMPLETED"


@pytest.mark.parametrize("name", ["grace", "no grace", "time limit", "requeue"])
def test_what_was_told_in_time_loses_no_step(stories: dict[str, Story], name: str) -> None:
    """The last step is committed before the end, and the next attempt goes on from there."""
    before, after = stories[name].attempts()
    assert after.resumed_step == before.last_step > 0


@pytest.mark.parametrize("name", ["grace", "no grace"])
def test_a_preempted_run_moves_to_another_node(stories: dict[str, Story], name: str) -> None:
    """Its own is taken."""
    before, after = stories[name].attempts()
    assert before.host != after.host


@pytest.mark.parametrize("name", ["cancel", "scancel"])
def test_what_is_cancelled_stays_away(stories: dict[str, Story], name: str) -> None:
    """The state is saved, the cause is the user, and Slurm has no such job any more."""
    story = stories[name]
    assert story.causes() == ["user"]
    assert story.shell.state(story.job) == "CANCELLED"
    assert list_committed(story.run)[-1].step == story.attempts()[0].last_step
    assert "requeued" not in story.decisions().replace("not requeued", "")


def test_each_start_has_a_log_of_its_own(stories: dict[str, Story]) -> None:
    """It begins with where the attempt goes on from."""
    first, second = sorted(stories["grace"].run.jobs.glob("train-*/*_restart-*.log"))
    assert "attempt 1 on " in first.read_text("utf-8")
    assert "attempt 2 on " in second.read_text("utf-8")


def test_a_cancelled_run_goes_on_when_its_user_says_so(stories: dict[str, Story], untouched: Story, user: User) -> None:
    """Started again it is as if nothing had happened; while it is queued it is not submitted twice."""
    again = user.train("cancel", "cluster.sbatch=['begin=now+3600']")
    refused = user(user.program.wavenet, "train", "run=cancel", "cluster=slurm")
    assert refused.returncode == 5
    assert f"job {again.job} (wavenet-train-cancel) is PENDING (BeginTime)" in refused.stderr
    user.shell("scontrol", "update", f"JobId={again.job}", "StartTime=now")
    wait_until(again.is_finished, PATIENCE)
    assert again.last_files() == untouched.last_files()


def test_a_job_that_waits_is_cancelled_as_well(user: User) -> None:
    """It never starts."""
    story = user.train("waiting", "cluster.sbatch=['begin=now+3600']")
    assert f"job {story.job} (wavenet-train-waiting) is PENDING" in user.wavenet("cancel", "run=waiting")
    assert story.shell.state(story.job) == "CANCELLED"
    assert not story.run.history.exists()
