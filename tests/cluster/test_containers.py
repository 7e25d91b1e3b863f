"""The same image everywhere: jobs of an ordinary user run in it, under a recent Slurm, with Apptainer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from containers import base, cache, root, tried
from containers.inside import QUICK
from slurm.devcluster import machine as machines
from slurm.devcluster import packages

from .conftest import free_name, traces
from .container_user import BASE, IMAGE, ContainerStory, ContainerUser, is_told, settled
from .shell import PATIENCE, wait_until
from .user import CLIPS, MUSIC, NUM_STEPS, SLURM, TINY

# Building root and image, if they are not there, may take minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("devcluster-k"), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerUser]:
    if reason := packages.obstacle() or root.obstacle():
        pytest.skip(f"no machine with a newer Slurm can be made here: {reason}")
    kept = cache.default_folder()
    images = {tried.image(kept): IMAGE, base.local(kept): BASE}
    with settled(free_name("k"), root.root(kept), images, tmp_path_factory.mktemp("login")) as user:
        yield user


@pytest.fixture(scope="module")
def stories(user: ContainerUser) -> dict[str, ContainerStory]:
    """A run that was preempted in the middle, one that nothing happened to, and what became of them."""
    user.said("python", "-c", MUSIC)
    # What lies in homes of people who install things for a Python of the host's.
    packages = user.home / ".local" / "lib" / "python3.11" / "site-packages"
    user.said("mkdir", "--parents", f"/home/{user.name}/{packages.relative_to(user.home)}")
    for name in ("torch", "numpy", "yaml", "sitecustomize"):
        (packages / f"{name}.py").write_text("raise SystemExit('a package of the home folder was imported')\n", "utf-8")
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
    """No step is lost: the signal reaches Python through the runtime, and the image stays readable meanwhile."""
    before, after = stories["preempted"].attempts()
    assert after.resumed_step == before.last_step > 0


def test_it_is_a_recent_slurm(user: ContainerUser) -> None:
    """Newer than the host's by years, where exit codes in the grace time mean something else."""
    release = user.said("sinfo", "--version").split()[1]
    assert tuple(map(int, release.split(".")[:2])) >= (24, 11)


def test_an_image_without_the_program_is_refused(user: ContainerUser) -> None:
    """At submission, in a sentence, by a container that was started once."""
    user.said("apptainer", "build", *QUICK, "other.sif", f"oci-archive:{BASE}")
    refused = user("wavenet", "train", "run=other", *TINY, *SLURM, "cluster.container.image=other.sif")
    assert refused.returncode == 3
    assert "the image 'other.sif' has no /opt/wavenet/bin/python" in refused.stderr
    assert user.said("squeue", "--noheader", "--name=wavenet-train-other") == ""


def test_a_missing_image_is_refused(user: ContainerUser) -> None:
    """Nothing is submitted."""
    refused = user("wavenet", "train", "run=other", *TINY, *SLURM, "cluster.container.image=missing.sif")
    assert refused.returncode == 3
    assert "cluster.container.image='missing.sif' is not there" in refused.stderr


def test_a_run_stays_in_its_image(user: ContainerUser, stories: dict[str, ContainerStory]) -> None:
    """Outside, or in another, it goes on only if its user says so."""
    more = ["run=untouched", *TINY, f"training.num_steps={NUM_STEPS + 1}", "cluster=local"]
    outside = user("wavenet", "train", *more, "accept=[training.num_steps]")
    assert outside.returncode == 4
    assert "numerics.image was" in outside.stderr
    user.said("wavenet", "train", *more, "accept=[training.num_steps,numerics.image]")


def test_a_machine_leaves_nothing_behind(user: ContainerUser) -> None:
    """Users, homes, clusters and what they wrote are beside the root, and go with the machine."""
    machine = machines.boot(free_name("l"), root.root(cache.default_folder()))
    try:
        assert machine.ours(["up", "--name", machine.name, "--nodes", "1"]) == 0
        assert traces(machine.name) != {}
    finally:
        machines.shut_down(machine.name)
    assert traces(machine.name) == {}
    assert machines.find(machine.name) is None
    kept = root.root(cache.default_folder())
    assert not [path for path in ("home", "tmp") for path in (kept / path).iterdir()]
