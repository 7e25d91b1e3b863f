"""More pairs than an array may have tasks: all their clips come to be, each once, whatever happens to tasks midway."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurm.devcluster import cluster as clusters
from slurm.devcluster.commands import do
from wavenet.generation.requests import ClipRequest
from wavenet.run_paths import RunPaths

from .pairs import (
    CLIP_SECONDS,
    NUM_CHECKPOINTS,
    NUM_PAIRS,
    PAIRS,
    Aim,
    Task,
    kept_samples,
    made,
    requests,
    undisturbed,
)
from .shell import PATIENCE, wait_until
from .user import SLURM, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-m"), pytest.mark.timeout(600)]

ARRAY_SIZE, PARALLEL, NUM_HIT = 21, 4, 6
# What is preempted here is requeued at once.
PLACE = [*SLURM, "cluster.partition=nograce", f"cluster.max_parallel={PARALLEL}"]


def identities(run: RunPaths) -> dict[str, tuple[int, int]]:
    """Inode and time of each clip's mark of completion: a clip that is made again has others."""
    states = {path.name: path.stat() for path in run.generated.glob("*.json")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


@dataclass(frozen=True)
class Array:
    """What was submitted, and what was seen while it ran."""

    run: RunPaths
    said: str
    said_again: str
    early: dict[str, tuple[int, int]]
    hit: list[Task]
    """Stopped in the middle of a clip, and then killed, preempted, or gone with their node."""
    clips: list[ClipRequest]
    clips_hit: list[ClipRequest]
    most_running: int

    @property
    def folder(self) -> Path:
        (folder,) = self.run.jobs.glob("generate-*")
        return folder

    def starts(self, task: Task) -> int:
        return len(list(self.folder.glob(f"{task.job}_0_restart-*.log")))


@pytest.fixture(scope="module")
def array(limited: User, many: RunPaths) -> Array:
    """Some clips are made; then tasks are stopped midway: one is killed, one preempted, the node of a third one lost.

    Afterwards three more are killed.
    """
    user, cluster = limited, limited.shell.cluster
    said = user.wavenet("generate", "run=many", *PLACE, *PAIRS)
    ids = re.findall(r"wavenet-generate-many as job (\d+)", said)
    sizes = [int(size) for size in re.findall(r"with (\d+) tasks", said)]
    clips = requests(many, NUM_CHECKPOINTS, CLIP_SECONDS)
    aim = Aim(user, ids, sizes, many, clips)
    wait_until(lambda: len(identities(many)) >= PARALLEL, PATIENCE)
    held = aim.hold(PARALLEL)
    early = identities(many)
    again = user(user.program.wavenet, "generate", "run=many", *PLACE, *PAIRS)
    killed, preempted = sorted(held.values(), key=lambda task: task.node)[:2]
    on_lost_node = max(held.values(), key=lambda task: task.node)
    killed.send(signal.SIGKILL)
    urgent = ("--partition=urgent", "--exclusive", f"--nodelist={preempted.node}")
    user.shell.submit("urgent", "sleep 20", *urgent)
    do(["scontrol", "update", f"NodeName={on_lost_node.node}", "State=DOWN", "Reason=test"], cluster)
    # Slurm takes its time; let go before, they would come to the end of their clips.
    wait_until(lambda: all(task.has_ended() for task in (killed, preempted, on_lost_node)), PATIENCE)
    for task in held.values():
        task.send(signal.SIGCONT)
    hit = [killed, preempted, on_lost_node]
    counts: list[int] = []

    def is_over() -> bool:
        jobs = user.shell("squeue", "--noheader", "--array", f"--jobs={','.join(ids)}", "--format=%T").split()
        counts.append(jobs.count("RUNNING"))
        return not jobs

    for task in aim.stopped(lambda task: task.job in held, is_over):
        task.send(signal.SIGKILL)
        held[task.job] = task
        hit.append(task)
        if len(hit) == NUM_HIT:
            break
    wait_until(is_over, PATIENCE)
    clusters.wait_until_idle(cluster, PATIENCE)  # a node that an administrator has set down comes back by itself here
    return Array(many, said, again.stderr, early, hit, clips, [aim.clip(task) for task in hit], max(counts))


def test_pairs_beyond_the_largest_array_become_more_arrays(array: Array) -> None:
    """Together they never run more tasks than the profile allows."""
    sizes = [int(size) for size in re.findall(r"with (\d+) task", array.said)]
    assert sum(sizes) == NUM_PAIRS
    assert len(sizes) == 3
    assert max(sizes) <= ARRAY_SIZE
    assert array.most_running <= PARALLEL


def test_what_is_being_generated_is_not_submitted_again(array: Array) -> None:
    """The sentence names the jobs that do it."""
    assert re.match(r"wavenet: the run 'many' generates already: job 1.* RUNNING", array.said_again)


def test_all_pairs_are_bitwise_those_of_an_undisturbed_serial_run(array: Array, tmp_path: Path) -> None:
    """Whatever happened on the way: WAV, MP3 and every fact but those about time; and nothing else is left."""
    other = undisturbed(array.run, tmp_path / "other", array.clips)
    for clip in array.clips:
        assert made(array.run, clip) == made(other, clip), clip
    names = {path.name for path in array.run.generated.iterdir()}
    assert names == {path.name for path in other.generated.iterdir()}
    assert len(names) == 3 * NUM_PAIRS


def test_tasks_hit_in_the_middle_of_a_clip_went_on_from_there(array: Array) -> None:
    """Each was started again, and drew no level of what was kept a second time."""
    assert len(array.hit) == NUM_HIT
    # More often than that, where one had come back to the node that was preempted a moment later.
    assert all(array.starts(task) >= 2 for task in array.hit)
    kept = [kept_samples(array.run, clip) for clip in array.clips_hit]
    assert all(0 < samples <= clip.num_samples for samples, clip in zip(kept, array.clips_hit, strict=True)), kept


def test_no_clip_is_made_twice(array: Array, limited: User) -> None:
    """Those made before the trouble are the same files; each task was done once; the command again submits nothing."""
    after = identities(array.run)
    assert array.early.items() <= after.items()
    decisions = (array.run.jobs / "decisions.log").read_text("utf-8")
    done = re.findall(r" job (\d+_\d+) restart \d+ on \w+: done\n", decisions)
    assert len(done) == len(set(done)) == NUM_PAIRS
    said = limited.wavenet("generate", "run=many", *PLACE, *PAIRS)
    assert f"{NUM_PAIRS} clips of {NUM_CHECKPOINTS} checkpoints, {NUM_PAIRS} of them there already\n" in said
    assert "submitted" not in said
    assert identities(array.run) == after


def test_status_counts_the_tasks_of_all_arrays(array: Array, limited: User) -> None:
    """As one stage."""
    (state,) = json.loads(limited.wavenet("status", "run=many", "--json"))
    (stage,) = [stage for stage in state["stages"] if stage["stage"] == "generate"]
    assert (stage["state"], stage["num_tasks"], stage["num_done"]) == ("done", NUM_PAIRS, NUM_PAIRS)
