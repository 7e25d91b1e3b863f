"""A run to which one thing after another happens ends in the bytes of one that was left alone, and says what it lost.

`make chaos N=100` lets a hundred things happen; here are a few, and the limit at which Slurm itself gives up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.verbs.costs import Cost
from slurm.devcluster import nodes
from tests.chaos import campaign as campaigns
from tests.chaos.campaign import GRACE_SECONDS, NUM_NODES, SETTINGS, Outcome, campaign, plan, small_disk, table
from tests.chaos.faults import FAULTS

from .shell import PATIENCE, wait_until
from .user import Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-h"), pytest.mark.timeout(1200)]

FEW = 5
SEED = 1
SLURMS_LIMIT = 5  # restarts after a lost node or a failed launch
# Slurm misses a job that a node which reports does not know, unless it began in the last 10 + 1 seconds; by default,
# 10 + 10. A node reports once a minute, and when its slurmd starts.
SOON_MISSED = "BatchStartTimeout=1"
_SECONDS_UNTIL_MISSED = 12


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """There before the nodes are, or they would not see it."""
    with small_disk() as folder:
        yield folder


@pytest.fixture(scope="module")
def user(possible: None, disk: Path, settle_in: Callable[..., User]) -> User:
    settings = (*SETTINGS, SOON_MISSED)
    return settle_in("h", num_nodes=NUM_NODES, grace_seconds=GRACE_SECONDS, is_isolated=True, settings=settings)


@pytest.fixture(scope="module")
def outcome(user: User, disk: Path) -> Outcome:
    return campaign(user, disk, plan(FEW, SEED), SEED, print)


def test_it_ends_in_the_same_bytes_and_loses_no_more_than_it_may(outcome: Outcome) -> None:
    """Killed in a commit, at start-up and at shutdown, on a full disk, cut off with its old process alive."""
    assert outcome.found == []
    assert len(outcome.costs) == FEW
    assert outcome.num_attempts >= FEW


def test_the_process_behind_the_cut_network_was_fenced(outcome: Outcome, disk: Path) -> None:
    """It lived on, beside its successor, and ended by itself with the code that is never started again."""
    decisions = (disk / "victim" / "jobs" / "decisions.log").read_text("utf-8")
    assert re.search(r"ended with 8, which would come again: not requeued", decisions)


def test_the_table_tells_of_every_fault(outcome: Outcome) -> None:
    """How often, what was lost, and how long it took."""
    lines = list(table(outcome.costs))
    assert len(lines) == 2 + FEW
    assert all(
        re.fullmatch(r"\| .+ \| 1 \| \d+, \d+ \(\d+\) \| (\d+, \d+|another came first) \|", line) for line in lines[2:]
    )


def test_a_step_too_many_would_be_noticed() -> None:
    """Of what was told in time none may be lost, of what was not, those since the last checkpoint."""
    told, killed = Cost("scontrol requeue", None, 1, 1.0), Cost("SIGKILL", None, 11, 1.0)
    assert len(campaigns.too_dear([told, killed])) == 2
    assert campaigns.too_dear([Cost("SIGKILL", None, 10, 1.0)]) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_full_campaign_has_every_fault_at_least_five_times(seed: int) -> None:
    """Twice as often those in commits, at start-up and at shutdown; never a start that is hit after another one."""
    order = plan(100, seed)
    counts = Counter(fault.name for fault in order)
    assert counts == {fault.name: 5 * fault.weight for fault in FAULTS}
    assert {name for name, count in counts.items() if count == 10} == {
        "SIGKILL in a commit",
        "SIGKILL at start-up",
        "SIGKILL at shutdown",
    }
    careful = [after for before, after in pairwise(order) if before.at_start or before.takes_node]
    assert not any(fault.at_start for fault in careful)
    assert order == plan(100, seed)
    assert order != plan(100, seed + 1)


def _lose(story: Story) -> None:
    """Its node restarts faster than Slurm takes it for dead; Slurm finds that the job is not there any more."""
    story.shell.wait_for_state(story.job, "RUNNING", seconds=PATIENCE)
    cluster, node = story.shell.cluster, story.node()
    nodes.power_off(cluster, node)
    nodes.boot(cluster, node)
    wait_until(lambda: story.seconds() > _SECONDS_UNTIL_MISSED or story.shell.state(story.job) != "RUNNING", PATIENCE)
    nodes.kill_slurmd(cluster, node)
    nodes.boot(cluster, node)
    wait_until(lambda: story.shell.state(story.job) != "RUNNING", PATIENCE)


def test_slurm_holds_a_job_that_lost_its_node_too_often_and_status_says_what_to_do(user: User) -> None:
    """Whoever starts the run again goes on."""
    # The node is to blame, and there is no other: the run is not given up for it.
    lenient = ["cluster.idle_restarts=99", "training.num_steps=3"]
    story = user.train("limit", f"cluster.sbatch=['nodelist={user.shell.cluster.nodes[-1]}']", *lenient)
    for _ in range(SLURMS_LIMIT):
        _lose(story)
    wait_until(lambda: "JobHoldMaxRequeue" in user.wavenet("status", "run=limit"), PATIENCE)
    said = user.wavenet("status", "run=limit")
    assert f"scontrol release {story.job}" in said
    assert "cancel it and start it again, which goes on from its newest checkpoint" in said
    user.wavenet("cancel", "run=limit")
    again = user.train("limit", "training.num_steps=3")
    again.shell.wait_for_state(again.job, "COMPLETED", seconds=PATIENCE)
    assert again.causes()[-1] == "finished"


def test_a_host_that_was_lost_twice_is_stayed_away_from(user: User) -> None:
    """Slurm starts such a job again by itself and on the same host; there it goes elsewhere before anything is done."""
    *others, first, second = user.shell.cluster.nodes
    story = user.train("lost", f"cluster.exclude='{','.join(others)}'", "cluster.cpus_per_task=2")
    for _ in range(2):
        _lose(story)
    story.wait_for_the_end()
    assert story.causes()[-1] == "finished"
    assert story.attempts()[-1].host == second
    decisions = story.decisions()
    assert f"on {second}: " not in decisions.partition("which is to be stayed away from: requeued")[0]
    assert f"started on the host {first}, which is to be stayed away from: requeued" in decisions
    assert f"stays away from {first}, after two faults each" in user.wavenet("status", "run=lost")
