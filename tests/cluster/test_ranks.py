"""Ranks on several nodes end with the bytes of one: preempted and finished on one node, or with one rank killed."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .shell import PATIENCE, wait_until
from .user import Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-m"), pytest.mark.timeout(600)]

TWO_NODES = ["cluster.nodes=2", "training.processes=2", "cluster.partition=nograce"]
ONE_NODE = ["cluster.nodes=1", "training.processes=1"]


def ranks(story: Story) -> dict[int, int]:
    """The processes of the run's job, as this machine numbers them."""
    found: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            values = (folder / "environ").read_bytes().split(b"\0")
            if str(story.run.jobs).encode() in words and b"submitit" in words and not words.startswith(b"srun"):
                for value in values:
                    if value.startswith(b"SLURM_PROCID="):
                        found[int(value.partition(b"=")[2])] = int(folder.name)
    return found


def decided(story: Story) -> str:
    """What the batch scripts of the run have noted, if one has come to its end."""
    return story.decisions() if (story.run.jobs / "decisions.log").exists() else ""


@pytest.fixture(scope="module")
def stories(limited: User) -> dict[str, Story]:
    """Two runs of two ranks, side by side on the same two nodes, and what became of them; and one of one rank."""
    user = limited

    def held(name: str) -> Story:
        story = user.train(name, *TWO_NODES)
        story.hold()
        return story

    with ThreadPoolExecutor(2) as pool:
        stories = dict(zip(("killed", "moved"), pool.map(held, ("killed", "moved")), strict=True))
    stories["alone"] = user.train("alone", *ONE_NODE, "cluster.partition=urgent")
    killed, moved = stories["killed"], stories["moved"]
    assert moved.node() == killed.node(), "side by side, so that ports would collide"
    processes = ranks(killed)
    os.kill(processes[1], signal.SIGKILL)
    os.kill(processes[0], signal.SIGCONT)
    wait_until(lambda: f"job {killed.job} restart 0 " in decided(killed), PATIENCE)
    first_node = user.shell("scontrol", "show", "hostnames", moved.node()).split()[0]
    urgent = user.shell.submit("urgent", "sleep 600", "--partition=urgent", "--exclusive", f"--nodelist={first_node}")
    wait_until(lambda: moved.causes()[0] != "running", PATIENCE)
    moved.shell.wait_for_state(moved.job, "PENDING", "RUNNING", seconds=PATIENCE)
    user.wavenet("cancel", "run=moved")
    wait_until(lambda: user.shell("squeue", "--noheader", f"--jobs={moved.job}") == "", PATIENCE)
    stories["moved"] = user.train("moved", *ONE_NODE)
    for story in stories.values():
        wait_until(story.is_finished, PATIENCE)
        story.wait_for_the_end()
    user.shell("scancel", urgent)
    return stories


def test_two_ranks_preempted_and_finished_on_one_node_end_with_the_same_bytes(stories: dict[str, Story]) -> None:
    """Weights, averages and moments equal those of one rank throughout."""
    moved = stories["moved"]
    assert (moved.starts()[0]["processes"], moved.starts()[-1]["processes"]) == (2, 1)
    assert (moved.causes()[0], moved.causes()[-1]) == ("preemption", "finished")
    assert moved.last_files() == stories["alone"].last_files()


def test_all_ranks_stop_at_the_same_step(stories: dict[str, Story]) -> None:
    """It is committed, so that nothing is lost, though only the first rank writes."""
    before, after = stories["moved"].attempts()[:2]
    assert after.resumed_step == before.last_step > 0


def test_a_rank_that_is_killed_ends_the_attempt_and_the_run_goes_on(stories: dict[str, Story]) -> None:
    """By itself, with both ranks again and the same bytes in the end."""
    killed = stories["killed"]
    assert killed.causes() == ["crash", "finished"]
    assert "ended with 137: requeued" in killed.decisions()
    assert [start["processes"] for start in killed.starts()] == [2, 2]
    assert {attempt.job_id for attempt in killed.attempts()} == {killed.job}
    # Slurm ends what a killed process has left on its node, and so the one that says more, as soon as it sees that.
    said = ("the process of rank 1 was killed", "rank 1 of this attempt is gone or silent")
    assert killed.attempts()[0].detail.startswith(said)
    assert killed.last_files() == stories["alone"].last_files()


def test_no_address_stays_behind(stories: dict[str, Story]) -> None:
    """A later attempt would wait for it in vain."""
    assert list(stories["killed"].run.jobs.glob("rendezvous*")) == []
