"""`wavenet run` on Slurm: all stages are submitted ahead and come to a report, whatever happens to one on the way."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from wavenet.run_paths import RunPaths

from .shell import PATIENCE, wait_until
from .user import CLIPS, SLURM, TINY, Story, User

# One worker brings the clusters up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-c"), pytest.mark.timeout(600)]

GENERATE = ["generate.seconds=0.05", "generate.evenly=1", "generate.primings=[silence]"]
PLACES = {"requeued": "cluster.partition=preemptible", "cancelled": "cluster.partition=nogracecancel"}

Chain = dict[str, Story]
"""The jobs of a run that is submitted as a whole, by stage."""


def submit(user: User, name: str, *words: str) -> Chain:
    settings = [*TINY, *SLURM, *CLIPS, *GENERATE, f"data=data of {name}", "cluster.max_parallel=2"]
    said = user.wavenet("run", f"run={name}", *settings, *words)
    run = RunPaths(user.shell.home / "runs" / name)
    return {stage: Story(user.shell, run, job) for stage, job in re.findall(r"wavenet-(\w+)-\w+ as job (\d+)", said)}


@pytest.fixture(scope="module")
def chains(user: User) -> dict[str, Chain]:
    """Their training was preempted: one is requeued by Slurm, the other cancelled, so that a successor takes over."""
    with ThreadPoolExecutor(2) as pool:  # each is stopped as soon as it trains, before it can come to its end
        chains = dict(zip(PLACES, pool.map(lambda name: _begin(user, name), PLACES), strict=True))
    for chain in chains.values():
        words = ["--partition=urgent", "--exclusive", f"--nodelist={chain['train'].node()}"]
        user.shell.submit("urgent", "sleep 600", *words)
    for chain in chains.values():
        wait_until((chain["train"].run.report / "index.html").exists, PATIENCE)
    wait_until(lambda: "wavenet-report" not in user.shell("squeue", "--noheader", "--format=%j"), PATIENCE)
    user("scancel", "--name=urgent")
    return chains


def _begin(user: User, name: str) -> Chain:
    chain = submit(user, name, "source=music", PLACES[name], "cluster.cpus_per_task=2")
    chain["train"].hold()
    return chain


@pytest.mark.parametrize("name", PLACES)
def test_it_goes_from_music_to_report_through_a_preemption(
    chains: dict[str, Chain], untouched: Story, user: User, name: str
) -> None:
    """The training moves to another node and ends with the bytes of a run that nothing happened to."""
    assert list(chains[name]) == ["plan", "prepare", "index", "train", "generate", "report"]
    training = chains[name]["train"]
    first, second = training.attempts()
    assert (first.cause, second.cause) == ("preemption", "finished")
    assert second.host != first.host
    assert training.last_files() == untouched.last_files()
    assert len(list(training.run.generated.glob("gen_*.mp3"))) == 5
    assert user.wavenet("status", f"run={name}").startswith(f"{name}: reported, step ")


def test_stages_after_one_that_was_handed_over_wait_for_its_successor(chains: dict[str, Chain]) -> None:
    """Their turn comes when the preempted job is over; they see that the stage is not, and hand over in turn."""
    chain = chains["cancelled"]
    words = chain["train"].decisions()
    assert re.search(rf"job {chain['train'].job} .*: ended by Slurm \(preemption\): handed over to job \d+\n", words)
    for stage, count in (("generate", 2), ("report", 1)):
        waited = rf"job {chain[stage].job}(?:_\d)? .*: the stage before is not over: handed over to job \d+\n"
        assert len(re.findall(waited, words)) == count
    assert "handed over" not in chains["requeued"]["train"].decisions()


def test_a_stage_that_cannot_work_ends_those_after_it(user: User) -> None:
    """Each says which and why, nothing is tried again, nothing stays in the queue, and `status` shows the reason."""
    user.shell("mkdir", "-p", "silence")
    jobs = submit(user, "hopeless", "source=silence")
    jobs["report"].wait_for_the_end()
    said = user.wavenet("status", "run=hopeless")
    assert "silence" in said
    (state,) = json.loads(user.wavenet("status", "run=hopeless", "--json"))
    assert (state["stage"], state["jobs"]) == ("failed (plan)", [])
    decisions = jobs["plan"].decisions().splitlines()
    assert [line.partition(": ")[2] for line in decisions if f" job {jobs['plan'].job} " in line] == [
        "ended with 3, which would come again: not requeued"
    ]
    later = [line for line in decisions if f" job {jobs['plan'].job} " not in line]
    assert len(later) == 7
    assert all("ended with 10," in line for line in later)
    (failed,) = (jobs["report"].run.jobs).glob(f"report-*/{jobs['report'].job}.failed")
    reason = f"the stage plan did not come to its end: job {jobs['plan'].job}: source must hold music, found an empty"
    assert failed.read_text("utf-8").startswith(reason)


def test_cancelling_a_run_cancels_all_its_stages(user: User) -> None:
    """None of them begins."""
    jobs = submit(user, "unwanted", "source=music", "cluster.sbatch=['begin=now+3600']")
    said = user.wavenet("cancel", "run=unwanted")
    assert all(f"job {story.job}" in said for story in jobs.values())
    assert user.shell("squeue", "--noheader", "--format=%j").count("unwanted") == 0
