"""The drill on a real Slurm, as its user types it: a job interrupted by the site's own commands, and the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from jobs.verbs.costs import differences
from jobs.verbs.interruptions import on_slurm
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history

from .shell import PATIENCE
from .user import User

# One worker waits for the drill, once.
pytestmark = [pytest.mark.xdist_group("devcluster-w"), pytest.mark.timeout(900)]

NAMES = [one.name for one in on_slurm()]


@pytest.fixture(scope="module")
def user(settle_in: Callable[..., User]) -> User:
    return settle_in("w", num_nodes=2)


@pytest.fixture(scope="module")
def said(user: User) -> str:
    return user.wavenet("drill", "cluster=slurm", seconds=3 * PATIENCE)


@pytest.fixture
def attempts(said: str, user: User) -> list[AttemptRow]:
    """Of the run that was interrupted."""
    return read_history(RunPaths(user.shell.home / "drill" / "interrupted")).attempts


@pytest.mark.parametrize("name", NAMES)
def test_each_interruption_hit_a_training(said: str, name: str) -> None:
    """It has its row, with the steps lost and the time until the next step; none was refused or came too late."""
    rows = re.findall(rf"^{re.escape(name)}  +(.*?)  +(\d+)  +(\d+\.\d) s$", said, re.MULTILINE)
    assert len(rows) == 1, said
    ended, lost, _ = rows[0]
    assert (int(lost) == 0) or (ended == "crash: killed by SIGKILL" and int(lost) <= 20)


def test_one_job_came_back_each_time(attempts: list[AttemptRow]) -> None:
    """After five interruptions at least: the limit, which only an administrator can raise, may be met again."""
    assert len(attempts) > len(NAMES)
    assert {attempt.job_id for attempt in attempts} == {attempts[0].job_id}
    assert attempts[0].cause == "requeue"
    assert [attempt.cause for attempt in attempts[-2:]] == ["time limit", "finished"]


def test_every_checkpoint_is_the_same_to_the_byte(said: str, user: User) -> None:
    """The drill says so, and so do the files that it leaves."""
    folder = user.shell.home / "drill"
    common, differ = differences(RunPaths(folder / "untouched"), RunPaths(folder / "interrupted"))
    assert differ == []
    assert f"{len(common)} checkpoints of both runs compared: every byte is the same" in said
    assert len(common) >= 100
    assert "train 0:0" not in said.rpartition("done in ")[2]  # the time of the training, not of its submission


def test_it_leaves_no_job_behind(said: str, user: User) -> None:
    """Both of its jobs are over when it ends."""
    assert user.shell("squeue", "--noheader", "--states=PENDING,RUNNING") == ""
