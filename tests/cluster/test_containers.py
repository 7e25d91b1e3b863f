"""The same image everywhere: jobs of an ordinary user run in it, under a recent Slurm, with Apptainer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers import cache, root, tried
from slurm.devcluster import packages

from .conftest import free_name
from .container_user import ContainerStory, ContainerUser, is_told, settled
from .shell import PATIENCE, wait_until
from .user import CLIPS, MUSIC

# Building root and image, if they are not there, may take minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("devcluster-k"), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerUser]:
    if reason := packages.obstacle() or root.obstacle():
        pytest.skip(f"no machine with a newer Slurm can be made here: {reason}")
    kept = cache.default_folder()
    with settled(free_name("k"), root.root(kept), tried.image(kept), tmp_path_factory.mktemp("login")) as user:
        yield user


@pytest.fixture(scope="module")
def stories(user: ContainerUser) -> dict[str, ContainerStory]:
    """A run that was preempted in the middle, one that nothing happened to, and what became of them."""
    user.said("python", "-c", MUSIC)
    user.said("wavenet", "prepare", "source=music", "cluster=local", *CLIPS)
    preempted = user.train("preempted", "cluster.partition=preemptible", "cluster.cpus_per_task=2")
    pid = preempted.hold()
    untouched = user.train("untouched", "cluster.partition=urgent")
    urgent = "--partition=urgent", "--exclusive", f"--nodelist={preempted.node()}", "--job-name=urgent"
    user.said("sbatch", *urgent, "--wrap=sleep 600")
    wait_until(lambda: is_told(pid, signal.SIGTERM), PATIENCE)
    os.kill(pid, signal.SIGCONT)
    for story in (preempted, untouched):
        wait_until(story.is_finished, PATIENCE)
        story.wait_for_the_end()
    user("scancel", "--name=urgent")
    return {"preempted": preempted, "untouched": untouched}


def test_it_comes_back_and_ends_with_the_same_bytes(stories: dict[str, ContainerStory]) -> None:
    """Weights, averages and moments equal those of a run in the same image that nothing happened to."""
    preempted, untouched = stories["preempted"], stories["untouched"]
    assert [attempt.cause for attempt in preempted.attempts()] == ["preemption", "finished"]
    assert [attempt.cause for attempt in untouched.attempts()] == ["finished"]
    assert preempted.last_files() == untouched.last_files()
    assert preempted.state() == "COMPLETED"


def test_the_grace_time_is_used(stories: dict[str, ContainerStory]) -> None:
    """What was told in time loses no step: the signal reaches Python through the runtime, and the files stay readable."""
    before, after = stories["preempted"].attempts()
    assert after.resumed_step == before.last_step > 0


def test_it_is_a_recent_slurm(user: ContainerUser) -> None:
    """Newer than the host's by years, where exit codes in the grace time mean something else."""
    release = user.said("sinfo", "--version").split()[1]
    assert tuple(map(int, release.split(".")[:2])) >= (24, 11)
