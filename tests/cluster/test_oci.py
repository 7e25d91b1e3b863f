"""The OCI image holds the whole program: an ordinary user's jobs run in it, by charliecloud and by podman."""

from __future__ import annotations

import pwd
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containers import cache, root, tried

from .conftest import leave
from .shell import PATIENCE, wait_until
from .user import NUM_STEPS, SLURM, Story, User

# Building the image, if it is not there, takes minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("oci"), pytest.mark.timeout(1500)]

RUNTIMES = ("charliecloud", "podman")
GENERATE = ["generate.seconds=0.05", "generate.evenly=1", "generate.primings=[silence]", "generate.classes=[0,1]"]


@pytest.fixture(scope="module")
def user(settle_in: Callable[..., User]) -> Iterator[User]:
    """Has unpacked the image in the home folder, by the command that the README names."""
    lacking = [program for program in ("buildah", "podman", "ch-run") if shutil.which(program) is None]
    if reason := root.obstacle() or (f"{' and '.join(lacking)} not installed" if lacking else ""):
        pytest.skip(f"no OCI image can be made and run here: {reason}")
    archive = tried.archive(cache.default_folder())
    user = settle_in("o", num_nodes=3, num_cpus=4, grace_seconds=4)
    shutil.copy(archive, user.shell.home / "wavenet.tar")
    build = str(user.program.project / "containers" / "build")
    done = user(user.program.python, build, "folder", "wavenet.tar", "wavenet")
    assert done.returncode == 0, done.stderr
    yield user
    leave(user)  # what starts a container tidies up to its end
    for left in Path("/tmp").glob(f"podman-{pwd.getpwnam(user.shell.cluster.user).pw_uid}-*"):
        shutil.rmtree(left)


def in_the_image(user: User, runtime: str, node: int) -> list[str]:
    place = [f"cluster.sbatch=['nodelist={user.shell.cluster.nodes[node]}']", "cluster.pairs_per_task=1"]
    return [*SLURM, *place, "cluster.container.image=wavenet", f"cluster.container.runtime={runtime}"]


@pytest.fixture(scope="module")
def stories(user: User) -> dict[str, Story]:
    """Runs by what became of them, each on a node of its own: two were preempted in the middle of their training."""
    lives = {
        "charliecloud": lambda: _preempted(user, "charliecloud", 0),
        "podman": lambda: _preempted(user, "podman", 1),
        "untouched": lambda: _trained(user.train("untouched", *in_the_image(user, "charliecloud", 2))),
    }
    with ThreadPoolExecutor(len(lives)) as pool:
        return dict(zip(lives, pool.map(lambda live: live(), lives.values()), strict=True))


def _preempted(user: User, runtime: str, node: int) -> Story:
    """It goes on, and then two clips are made by an array."""
    place = in_the_image(user, runtime, node)
    story = user.train(runtime, *place)
    story.hold()
    urgent = ["--partition=urgent", "--exclusive", f"--nodelist={story.node()}"]
    user.shell.submit(f"urgent-{runtime}", "sleep 1", *urgent)
    _trained(story)
    user.wavenet("generate", f"run={runtime}", *place, *GENERATE)
    wait_until(lambda: len(list(story.run.generated.glob("gen_*.json"))) == 2, PATIENCE)
    return story


def _trained(story: Story) -> Story:
    wait_until(story.is_finished, PATIENCE)
    story.wait_for_the_end()
    return story


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_preempted_run_ends_with_the_same_bytes(stories: dict[str, Story], runtime: str) -> None:
    """It is told through the runtime, loses no step, and goes on in the image."""
    story = stories[runtime]
    before, after = story.attempts()
    assert (before.cause, after.cause) == ("preemption", "finished"), story.decisions()
    assert after.resumed_step == before.last_step > 0
    assert (before.job_id, after.job_id) == (story.job, story.job)
    assert stories["untouched"].causes() == ["finished"]
    assert story.last_files() == stories["untouched"].last_files()


def test_arrays_make_the_same_clips_in_it(stories: dict[str, Story]) -> None:
    """Kernel and encoder of MP3 are inside, and the networks are the same."""
    made, others = (
        {path.name: path.read_bytes() for path in stories[each].run.generated.glob(f"gen_*-{NUM_STEPS}.*[v3]")}
        for each in RUNTIMES
    )
    assert len(made) == 4
    assert made == others


def test_all_ran_in_the_image(stories: dict[str, Story]) -> None:
    """Every attempt knows its digest."""
    images = {start["versions"].get("image") for story in stories.values() for start in story.starts()}
    assert len(images) == 1
    assert images != {None}
