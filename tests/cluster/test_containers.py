"""The same image everywhere: jobs of an ordinary user run in it, under a recent Slurm, with Apptainer."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from containers import base, cache, root, tried
from containers.inside import QUICK
from slurm.devcluster import machine as machines
from slurm.devcluster import packages

from .conftest import free_name, traces
from .container_user import BASE, IMAGE, ContainerStory, ContainerUser, frozen, settled
from .shell import PATIENCE, wait_until
from .user import CLIPS, MUSIC, NUM_STEPS, SLURM, TINY

# Building root and image, if they are not there, may take minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("devcluster-k"), pytest.mark.timeout(1500)]

LIBRARY = Path("/srv/music")  # not where the user is, nor below
KILL_WAIT = 8  # of these clusters
NEVER_READ = Path("/opt/wavenet/lib/python3.11/site-packages/torch/utils/model_dump/code.js")
GENERATE = ["generate.seconds=0.05", "generate.evenly=1", "generate.primings=[silence]"]

Stories = dict[str, ContainerStory]
"""Runs by what became of them."""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerUser]:
    if reason := packages.obstacle() or root.obstacle():
        pytest.skip(f"no machine with a newer Slurm can be made here: {reason}")
    kept = cache.default_folder()
    images = {tried.image(kept): IMAGE, base.local(kept): BASE}
    with settled(free_name("k"), root.root(kept), images, tmp_path_factory.mktemp("login")) as user:
        yield user


@pytest.fixture(scope="module", autouse=True)
def begun(user: ContainerUser) -> Iterator[Future[Stories]]:
    """The runs, all at once, beside what is tried without them."""
    user.said("python", "-c", MUSIC)
    _poison(user)
    user.said("wavenet", "prepare", "source=music", "cluster=local", *CLIPS)
    user.said("cp", "-r", f"/home/{user.name}/music", str(LIBRARY), by="root")
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_live, user)


@pytest.fixture(scope="module")
def stories(begun: Future[Stories]) -> Stories:
    """Runs in whose training something happened, one that nothing happened to, and what became of them."""
    return begun.result()


def _live(user: ContainerUser) -> Stories:
    lives = {"chain": _chain, "ranks": _ranks, "untouched": _untouched, "cancelled": _cancelled}
    with ThreadPoolExecutor(len(lives)) as pool:
        return dict(zip(lives, pool.map(lambda live: live(user), lives.values()), strict=True))


def _poison(user: ContainerUser) -> None:
    """Put into the home folder what lies in those of people who install things for a Python of the host's."""
    packages = user.home / ".local" / "lib" / "python3.11" / "site-packages"
    user.said("mkdir", "--parents", f"/home/{user.name}/{packages.relative_to(user.home)}")
    for name in ("torch", "numpy", "yaml", "sitecustomize"):
        (packages / f"{name}.py").write_text("raise SystemExit('a package of the home folder was imported')\n", "utf-8")


def _chain(user: ContainerUser) -> ContainerStory:
    """All stages on three nodes; the training is preempted in both ways, and then has no more time."""
    places = [f"source={LIBRARY}", "data=data of chain", "cluster.partition=preemptible", "cluster.cpus_per_task=2"]
    alone = f"cluster.exclude='{','.join(user.nodes[3:])}'"
    chain = user.run("chain", *places, alone, *CLIPS, *GENERATE, "cluster.max_parallel=3")
    training = chain["train"]
    pid = training.hold(1)
    user.take(training.asked("%N"))
    training.be_told(pid, signal.SIGTERM)
    wait_until(lambda: training.asked("%T") == "PENDING", PATIENCE)
    training.update("Partition=nograce")
    pid = training.hold(2)
    user.take(training.asked("%N"))
    training.be_told(pid, signal.SIGTERM)
    pid = training.hold(3)
    # Slurm tells a job of its end 90 + 30 seconds before it, or at once where less is left; then it refuses to requeue.
    training.update("Requeue=0")
    *hours, minutes, _ = training.asked("%M").split(":")
    training.update(f"TimeLimit={int(minutes) + 60 * sum(map(int, hours)) + 2}")
    training.be_told(pid, signal.SIGUSR2)
    wait_until((training.run.report / "index.html").exists, 2 * PATIENCE)  # four stages are to come
    wait_until(lambda: "-chain" not in user.said("squeue", "--noheader", "--format=%j"), PATIENCE)
    return training


def _ranks(user: ContainerUser) -> ContainerStory:
    """Two ranks on two nodes; one hangs when they are preempted, so that the other waits in the middle of a step.

    The image is still read meanwhile.
    """
    places = [f"cluster.sbatch=['nodelist={','.join(user.nodes[3:])}']", "cluster.nodes=2", "training.processes=2"]
    ranks = user.train("ranks", *places, "cluster.partition=preemptible")
    wait_until(lambda: ranks.trains(1), PATIENCE)
    inside = ranks.pids()
    with frozen(inside[1]):
        user.take(user.nodes[4])
        wait_until(lambda: "told" in ranks.rows(1), PATIENCE)
        assert (Path(f"/proc/{inside[0]}/root") / NEVER_READ.relative_to("/")).read_bytes()
        wait_until(lambda: "end" in ranks.rows(1), PATIENCE)
    wait_until(ranks.is_finished, PATIENCE)
    ranks.wait_for_the_end()
    return ranks


def _untouched(user: ContainerUser) -> ContainerStory:
    untouched = user.train("untouched", "cluster.partition=urgent", f"cluster.sbatch=['nodelist={user.nodes[3]}']")
    wait_until(untouched.is_finished, PATIENCE)
    untouched.wait_for_the_end()
    return untouched


def _cancelled(user: ContainerUser) -> ContainerStory:
    """By its user, with a bare scancel."""
    cancelled = user.train("cancelled", "cluster.partition=urgent", f"cluster.sbatch=['nodelist={user.nodes[3]}']")
    pid = cancelled.hold()
    user.said("scancel", cancelled.job)
    cancelled.be_told(pid, signal.SIGTERM)
    cancelled.wait_for_the_end()
    return cancelled


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


def test_an_unreadable_image_is_refused(user: ContainerUser) -> None:
    """Somebody else's file, or one in a folder of theirs; who may read everything would never hear it."""
    closed, hidden = user.home / "closed.sif", user.home / "hidden"
    closed.touch(mode=0o600)
    hidden.mkdir(mode=0o700)
    (hidden / "open.sif").touch(mode=0o644)
    for name, said in {
        "closed.sif": "may not be read by you; chmod a+rX lets everybody",
        "hidden/open.sif": "lies in a folder that you may not enter; chmod a+rX lets everybody",
    }.items():
        refused = user("wavenet", "train", "run=other", *TINY, *SLURM, f"cluster.container.image={name}")
        assert refused.returncode == 3
        assert refused.stderr == f"wavenet: cluster.container.image='{name}' {said}\n"
    assert user.said("squeue", "--noheader", "--name=wavenet-train-other") == ""


def test_an_image_for_another_processor_is_refused(user: ContainerUser) -> None:
    """Whoever built it on a laptop of another kind is told which; of a program in it nothing is looked at."""
    user.said("mkdir", "empty")
    user.said("mksquashfs", "empty", "empty.squashfs", "-quiet", "-no-progress")
    user.said("apptainer", "sif", "new", "arm.sif")
    kind = ["--datatype=4", "--parttype=2", "--partfs=1", "--partarch=4", "--groupid=1"]  # the system's files, for ARM
    user.said("apptainer", "sif", "add", *kind, "arm.sif", "empty.squashfs")
    refused = user("wavenet", "train", "run=other", *TINY, *SLURM, "cluster.container.image=arm.sif")
    assert refused.returncode == 3
    assert refused.stderr == "wavenet: the image 'arm.sif' is for arm64 processors, and this machine's are amd64\n"


def test_it_comes_back_and_ends_with_the_same_bytes(stories: Stories) -> None:
    """All stages in the image, through a preemption with grace time, one without it, and a time limit."""
    chain = stories["chain"]
    assert chain.causes() == ["preemption", "preemption", "time limit", "finished"], chain.logs()
    assert stories["untouched"].causes() == ["finished"]
    assert chain.last_files() == stories["untouched"].last_files()
    assert len(list(chain.run.generated.glob("gen_*.mp3"))) == 5
    used = {
        json.loads(path.read_text("utf-8").splitlines()[0])["versions"].get("image")
        for path in chain.run.history.iterdir()
    }
    assert len(used) == 1
    assert used != {None}


def test_no_step_is_lost(stories: Stories) -> None:
    """Every signal reaches Python through the runtime."""
    attempts = stories["chain"].attempts()
    assert [after.resumed_step for after in attempts[1:]] == [before.last_step for before in attempts[:-1]]
    assert attempts[0].last_step > 0


def test_another_job_takes_over_in_the_image(stories: Stories) -> None:
    """It learns from outside that the first one is over, and the stages after it that they have to wait for it."""
    chain = stories["chain"]
    jobs = [attempt.job_id for attempt in chain.attempts()]
    assert jobs[:3] == [chain.job] * 3
    assert jobs[3] != chain.job
    decisions = chain.decisions()
    assert f"handed over to job {jobs[3]}\n" in decisions
    assert decisions.count(": the stage before is not over: handed over to job ") == 4
    assert "given up" not in decisions


def test_a_cancelled_run_says_so(stories: Stories) -> None:
    """Inside, its signal is that of a preemption; Slurm knows better, and nothing comes back."""
    cancelled = stories["cancelled"]
    assert cancelled.causes() == ["user"]
    assert cancelled.state() == "CANCELLED"


def test_ranks_on_two_nodes_end_with_the_same_bytes(stories: Stories) -> None:
    """Each in a container, they find each other, and again after a preemption."""
    ranks = stories["ranks"]
    assert ranks.causes() == ["preemption", "finished"], ranks.logs()
    assert [ranks.rows(attempt)["start"]["processes"] for attempt in (1, 2)] == [2, 2]
    assert ranks.last_files() == stories["untouched"].last_files()


def test_the_whole_grace_time_is_used(user: ContainerUser, stories: Stories) -> None:
    """A step that does not end is waited for beyond KillWait, all that a signal alone allows, and then left in time."""
    ranks = stories["ranks"]
    told, end = (datetime.fromisoformat(ranks.rows(1)[kind]["time"]) for kind in ("told", "end"))
    assert (end - told).total_seconds() > KILL_WAIT
    before, after = ranks.attempts()
    assert "longer than the time left" in before.detail
    assert after.resumed_step == before.last_step > 0


def test_a_run_stays_in_its_image(user: ContainerUser, stories: Stories) -> None:
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
