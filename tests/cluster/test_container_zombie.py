"""A node is cut off while a training runs there in the image, under a recent Slurm, and the old process lives on.

Slurm starts the job again elsewhere; what the old process does when it wakes counts for nothing.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containers import cache, root, tried
from slurm.devcluster import packages
from wavenet.checkpoint.store import list_committed

from .conftest import free_name
from .container_user import IMAGE, ContainerStory, ContainerUser, settled
from .shell import PATIENCE, wait_until
from .user import CLIPS, MUSIC

# Building root and image, if they are not there, may take minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("devcluster-k"), pytest.mark.timeout(1500)]

FENCED = 8
ALONE = "cluster.cpus_per_task=4"  # nobody else on its node
INTERVAL = ["training.checkpoint_every=20"]
AUDIO = ["generate.seconds=0.05", "generate.primings=[silence]"]


@dataclass(frozen=True)
class Life:
    """A run and the bytes of what its owner owns: when the old process woke, and when it had ended."""

    story: ContainerStory
    before: dict[str, bytes]
    after: dict[str, bytes]
    untouched: ContainerStory


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerUser]:
    if reason := packages.obstacle() or root.obstacle():
        pytest.skip(f"no machine with a newer Slurm can be made here: {reason}")
    kept = cache.default_folder()
    images = {tried.image(kept): IMAGE}
    folder = tmp_path_factory.mktemp("login")
    with settled(free_name("z"), root.root(kept), images, folder, "SlurmdTimeout=10") as user:
        user.said("python", "-c", MUSIC)
        user.said("wavenet", "prepare", "source=music", "cluster=local", *CLIPS)
        yield user


@pytest.fixture(scope="module")
def life(user: ContainerUser) -> Life:
    """Cut off in the middle of a step, awake again while its successor stands still, which then goes on to the end."""
    places = [f"cluster.sbatch=['nodelist={user.nodes[0]}']", "cluster.partition=urgent"]
    untouched = user.train("untouched", *INTERVAL, *places)
    story = user.train("cut", *INTERVAL, "cluster.partition=preemptible", f"cluster.exclude={user.nodes[0]}", ALONE)
    wait_until(lambda: bool(list_committed(story.run)), PATIENCE)
    pid, node = story.hold(), story.asked("%N")
    assert user.machine.ours(["cut", "--name", user.machine.name, node]) == 0
    successor = story.hold(2, zombie=pid)
    user.said("wavenet", "generate", "run=cut", *AUDIO, "cluster=local")
    before = _owned(story)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), PATIENCE)
    wait_until(lambda: f"ended with {FENCED}" in story.decisions(), PATIENCE)
    after = _owned(story)
    os.kill(successor, signal.SIGCONT)
    wait_until(story.is_finished, PATIENCE)
    story.wait_for_the_end()
    untouched.wait_for_the_end()
    return Life(story, before, after, untouched)


def _owned(story: ContainerStory) -> dict[str, bytes]:
    """The bytes of all that belongs to whoever owns the run."""
    places = (story.run.checkpoints, story.run.generated, story.run.root / "ledger")
    files = (path for place in places for path in sorted(place.rglob("*")) if path.is_file())
    return {str(path.relative_to(story.run.root)): path.read_bytes() for path in files}


def test_the_job_goes_on_elsewhere(life: Life) -> None:
    """By itself, on a node that can be reached, and its history says what became of the first."""
    first, second = life.story.attempts()
    assert (first.cause, second.cause) == ("node failure", "finished")
    assert first.host != second.host
    assert first.job_id == second.job_id == life.story.job
    assert second.restart_count == first.restart_count + 1


def test_the_old_process_was_alive_and_is_fenced(life: Life) -> None:
    """It finds its run taken when it would save, and ends with the code that is never started again."""
    rows = [json.loads(line) for line in life.story.run.attempt_history(1).read_text("utf-8").splitlines()]
    assert "has been overtaken" in rows[-1]["detail"]
    assert f"ended with {FENCED}, which would come again: not requeued" in life.story.decisions()
    assert len(life.story.attempts()) == 2


def test_it_changed_no_byte(life: Life) -> None:
    """Of checkpoints, generated audio and ledger."""
    kinds = {name.partition("/")[0] for name in life.before}
    assert kinds == {"checkpoints", "generated", "ledger"}
    assert life.after == life.before


def test_the_run_ends_with_the_same_bytes(life: Life) -> None:
    """As those of a run that nothing happened to."""
    assert life.untouched.causes() == ["finished"]
    assert life.story.last_files() == life.untouched.last_files()
