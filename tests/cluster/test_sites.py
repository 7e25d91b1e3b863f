"""On sites that make it hard a training run goes on by itself all the same, or says what its user has to do."""

from __future__ import annotations

import re
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest

from slurm.devcluster import nodes
from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import TINY, Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-s"), pytest.mark.timeout(600)]

ALONE = "cluster.cpus_per_task=2"  # nobody else on its node
PARTITIONS = {
    "cancel with grace": "cancel",
    "cancel at once": "nogracecancel",
    "requeue asked for": "nograce",
    "requeue forbidden": "preemptible",
    "no scontrol": "preemptible",
    "no way back": "preemptible",
    "cancelled without scontrol": "preemptible",
}
MISSING = {  # commands that a run's node does not have
    "no scontrol": ["scontrol"],
    "no way back": ["scontrol", "sbatch"],
    "cancelled without scontrol": ["scontrol"],
}
GOES_ON = ("cancel with grace", "cancel at once", "requeue asked for", "requeue forbidden", "no scontrol")
HANDS_OVER = ("cancel at once", "requeue forbidden", "no scontrol")


@pytest.fixture(scope="module")
def user(difficult: User) -> User:
    return difficult


@pytest.fixture(scope="module")
def stories(user: User) -> dict[str, Story]:
    """Runs that were preempted, or cancelled, in the middle of their training."""
    cluster = user.shell.cluster
    places = dict(zip(PARTITIONS, cluster.nodes, strict=True))
    for name, commands in MISSING.items():
        for command in commands:
            nodes.inside(cluster, places[name], ["mount", "--bind", "/bin/false", f"/usr/bin/{command}"])
    with ThreadPoolExecutor(4) as pool:  # each is stopped as soon as it trains, before it can come to its end
        stories = dict(zip(places, pool.map(lambda name: _begin(user, name, places[name]), places), strict=True))
    user.shell("scontrol", "update", f"JobId={stories['requeue forbidden'].job}", "Requeue=0")
    user.shell("scancel", stories["cancelled without scontrol"].job)
    for name in (*GOES_ON, "no way back"):
        user.shell.submit("urgent", "sleep 1", "--partition=urgent", "--exclusive", f"--nodelist={places[name]}")
    for name in GOES_ON:
        wait_until(stories[name].is_finished, PATIENCE)
    wait_until(lambda: user.shell("squeue", "--noheader") == "", PATIENCE)
    return stories


def _begin(user: User, name: str, node: str) -> Story:
    story = user.train(name, f"cluster.partition={PARTITIONS[name]}", ALONE, f"cluster.sbatch=['nodelist={node}']")
    story.hold()
    return story


@pytest.fixture(scope="module")
def untouched(user: User) -> Story:
    """The same run, and nothing happens to it."""
    user.wavenet("train", "run=untouched", *TINY, "cluster=local")
    return Story(user.shell, RunPaths(user.shell.home / "runs" / "untouched"), "")


@pytest.mark.parametrize("name", GOES_ON)
def test_the_run_goes_on_by_itself(stories: dict[str, Story], untouched: Story, user: User, name: str) -> None:
    """It is told in time, loses no step, says why it stopped, and ends with the bytes of a run left alone."""
    story = stories[name]
    before, after = story.attempts()
    assert (before.cause, after.cause) == ("preemption", "finished")
    assert after.resumed_step == before.last_step > 0
    assert story.last_files() == untouched.last_files()
    assert "restarts: 1 x preemption" in user.wavenet("status", f"run={name}")


@pytest.mark.parametrize("name", GOES_ON)
def test_it_is_the_same_job_wherever_that_is_possible(stories: dict[str, Story], name: str) -> None:
    """Else a successor, which is recorded as the run's job, and starts from its own beginning."""
    story = stories[name]
    before, after = story.attempts()
    recorded = [line.split()[0] for line in (story.run.jobs / "submitted").read_text("utf-8").splitlines()]
    if name in HANDS_OVER:
        assert [before.job_id, after.job_id] == recorded
        assert f"handed over to job {after.job_id}\n" in story.decisions()
        assert after.restart_count == 0
    else:
        assert [before.job_id] == [after.job_id] == recorded
        assert after.restart_count == 1


def test_where_nothing_can_be_submitted_the_user_is_told_what_to_type(
    stories: dict[str, Story], untouched: Story, user: User
) -> None:
    """The reason and the command are in `status`, and the command goes on from what was saved."""
    story = stories["no way back"]
    assert story.causes() == ["preemption"]
    said = user.wavenet("status", "run=no way back")
    assert "requeue refused (scontrol does not work here), and no job can be submitted from here" in said
    command = re.search(r"go on with `(wavenet train run=.*)`", said)
    assert command
    user(user.program.wavenet, *shlex.split(command[1])[1:])
    wait_until(story.is_finished, PATIENCE)
    assert story.last_files() == untouched.last_files()


def test_a_cancelled_job_is_known_without_scontrol(stories: dict[str, Story]) -> None:
    """squeue tells its end from a preemption's, and nothing brings it back."""
    story = stories["cancelled without scontrol"]
    assert story.causes() == ["user"]
    assert story.shell.state(story.job) == "CANCELLED"


def test_a_job_that_slurm_holds_tells_how_to_release_it(stories: dict[str, Story], user: User) -> None:
    """After a failed launch Slurm requeues it and lets it wait for ever; the command in `status` lets it go on."""
    cluster = user.shell.cluster
    node = cluster.nodes[0]
    nodes.inside(cluster, node, ["mount", "--bind", "/bin/false", "/usr/sbin/slurmstepd"])
    story = user.train("held", f"cluster.sbatch=['nodelist={node}']", "training.num_steps=2")
    wait_until(lambda: "launch failed requeued held" in user.wavenet("status", "run=held"), PATIENCE)
    nodes.inside(cluster, node, ["umount", "/usr/sbin/slurmstepd"])
    command = re.search(r"scontrol release \d+", user.wavenet("status", "run=held"))
    assert command
    user.shell(*command[0].split())
    story.shell.wait_for_state(story.job, "COMPLETED", seconds=PATIENCE)
    assert story.causes() == ["finished"]
