"""`wavenet run` on Slurm: all stages are submitted ahead and come to a report, whatever happens to one on the way."""

from __future__ import annotations

import json
import re

import pytest

from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import CLIPS, SLURM, TINY, Story, User

# One worker brings the clusters up, once.
pytestmark = [pytest.mark.xdist_group("devcluster"), pytest.mark.timeout(600)]

GENERATE = ["generate.seconds=0.05", "generate.evenly=1", "generate.primings=[silence]"]


def submit(user: User, name: str, *words: str) -> dict[str, Story]:
    """The stages' jobs, by stage."""
    settings = [*TINY, *SLURM, *CLIPS, *GENERATE, f"data=data of {name}", "cluster.max_parallel=2"]
    said = user.wavenet("run", f"run={name}", *settings, *words)
    run = RunPaths(user.shell.home / "runs" / name)
    return {stage: Story(user.shell, run, job) for stage, job in re.findall(r"wavenet-(\w+)-\w+ as job (\d+)", said)}


def test_it_goes_from_music_to_report_through_a_preemption(user: User, untouched: Story) -> None:
    """The training moves to another node and ends with the bytes of a run that nothing happened to."""
    jobs = submit(user, "chain", "source=music")
    assert list(jobs) == ["plan", "prepare", "index", "train", "generate", "report"]
    training = jobs["train"]
    training.hold()
    node = training.node()
    urgent = user.shell.submit("urgent", "sleep 600", "--partition=urgent", "--exclusive", f"--nodelist={node}")
    wait_until(training.is_finished, PATIENCE)
    user.shell("scancel", urgent)
    jobs["report"].wait_for_the_end()
    first, second = training.attempts()
    assert (first.cause, second.cause, first.host) == ("preemption", "finished", node)
    assert second.host != node
    assert training.last_files() == untouched.last_files()
    assert len(list(training.run.generated.glob("gen_*.mp3"))) == 5
    assert (training.run.report / "index.html").exists()
    assert user.wavenet("status", "run=chain").startswith("chain: reported, step ")


def test_a_stage_that_cannot_work_ends_those_after_it(user: User) -> None:
    """Each says so, nothing is tried again, and nothing stays in the queue."""
    jobs = submit(user, "hopeless", "source=nowhere")
    jobs["report"].wait_for_the_end()
    (state,) = json.loads(user.wavenet("status", "run=hopeless", "--json"))
    assert (state["stage"], state["jobs"]) == ("new", [])
    decisions = jobs["plan"].decisions().splitlines()
    assert [line.partition(": ")[2] for line in decisions if f" job {jobs['plan'].job} " in line] == [
        "ended with 3, which would come again: not requeued"
    ]
    later = [line for line in decisions if f" job {jobs['plan'].job} " not in line]
    assert len(later) == 7
    assert all("ended with 10," in line for line in later)


def test_cancelling_a_run_cancels_all_its_stages(user: User) -> None:
    """None of them begins."""
    jobs = submit(user, "unwanted", "source=music", "cluster.sbatch=['begin=now+3600']")
    said = user.wavenet("cancel", "run=unwanted")
    assert all(f"job {story.job}" in said for story in jobs.values())
    assert user.shell("squeue", "--noheader", "--format=%j").count("unwanted") == 0
