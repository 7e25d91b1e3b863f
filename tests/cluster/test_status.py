"""What `wavenet status` and `wavenet logs` tell of a real job that is held, started, stalled, requeued and finished."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slurm.devcluster.users import as_user

from .shell import PATIENCE, wait_until
from .user import CLIPS, SLURM, TINY, Story, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster"), pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Told:
    """What was told of the run while it was held, stalled and over, and what its logs were."""

    story: Story
    node: str
    held: dict[str, Any]
    held_words: str
    stalled: dict[str, Any]
    without_squeue: str
    over: dict[str, Any]
    ended_chain: dict[str, Any]
    log: list[str]
    log_code: int


def status(user: User, name: str, *words: str) -> dict[str, Any]:
    (state,) = json.loads(user.wavenet("status", f"run={name}", "--json", *words))
    return state


@contextmanager
def following(user: User, name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`wavenet logs` at the user's prompt."""
    options = as_user(user.shell.cluster, **user.program.variables)
    with (
        log.open("wb") as out,
        subprocess.Popen([user.program.wavenet, "logs", f"run={name}"], stdout=out, **options) as reader,
    ):
        try:
            yield reader
        finally:
            reader.kill()


@pytest.fixture(scope="module")
def told(user: User, tmp_path_factory: pytest.TempPathFactory) -> Told:
    log = tmp_path_factory.mktemp("logs") / "log"
    user.shell("mkdir", "-p", "silence")
    user.wavenet("run", "run=lost", "source=silence", "data=data of lost", *TINY[1:], *SLURM, *CLIPS)
    story = user.train("seen", "cluster.sbatch=['hold']")
    held, held_words = status(user, "seen"), user.wavenet("status", "run=seen")
    with following(user, "seen", log) as reader:
        wait_until(lambda: "no log yet" in log.read_text("utf-8"), PATIENCE)
        user.shell(*shlex.split(held["held"][0]["remedy"]))
        story.hold()
        node = story.node()
        wait_until(lambda: bool(status(user, "seen", "stall_minutes=0")["stalled"]), PATIENCE)
        stalled = status(user, "seen", "stall_minutes=0")
        without_squeue = user("env", "SLURM_CONF=/nowhere", user.program.wavenet, "status", "run=seen").stdout
        user.shell("scontrol", "requeue", story.job)
        wait_until(story.is_finished, PATIENCE)
        story.wait_for_the_end()
        code = reader.wait(PATIENCE)
    wait_until(lambda: status(user, "lost")["jobs"] == [], PATIENCE)
    return Told(
        story=story,
        node=node,
        held=held,
        held_words=held_words,
        stalled=stalled,
        without_squeue=without_squeue,
        over=status(user, "seen"),
        ended_chain=status(user, "lost"),
        log=log.read_text("utf-8").splitlines(),
        log_code=code,
    )


def test_a_held_job_comes_with_the_command_that_releases_it(told: Told) -> None:
    """Which was typed as it stands there, and did."""
    job = told.story.job
    assert told.held["stage"] == "queued"
    assert told.held["held"] == [{"job_id": job, "reason": "JobHeldUser", "remedy": f"scontrol release {job}"}]
    assert f"    held: job {job} (JobHeldUser); scontrol release {job}\n" in told.held_words


def test_a_training_that_stands_still_is_told(told: Told) -> None:
    """With where it is; its job is running as far as Slurm knows."""
    (stall,) = told.stalled["stalled"]
    assert (stall["what"], stall["host"]) == ("training", told.node)
    assert (told.stalled["stage"], told.stalled["jobs"][0]["state"]) == ("training", "RUNNING")
    assert told.stalled["expected_end"] is not None


def test_without_squeue_it_tells_what_the_files_say(told: Told) -> None:
    """And that squeue gives no answer."""
    assert "squeue gives no answer" in told.without_squeue
    assert f"step {told.stalled['step']}/" in told.without_squeue


def test_when_all_is_over_the_restart_is_told_with_cause_and_host(told: Told) -> None:
    """Nothing is in the queue any more, and nothing is held or stalled."""
    (restart,) = told.over["restarts"]
    first, second = told.story.attempts()
    assert (restart["cause"], restart["host"]) == ("requeue", second.host)
    assert restart["step"] == first.last_step
    assert (told.over["stage"], told.over["jobs"], told.over["held"], told.over["stalled"]) == ("trained", [], [], [])


def test_each_attempt_tells_how_it_spent_its_time(told: Told) -> None:
    """Without accounts: how long its job waited, the second time since it was put back, and what came before steps."""
    for one in told.over["attempts"]:
        assert min(one[f"{part}_seconds"] for part in ("startup", "loading", "first_step", "steps")) > 0
        assert one["startup_seconds"] + one["loading_seconds"] + one["steps_seconds"] < one["used_seconds"] + 1
    first, second = told.over["attempts"]
    assert first["queue_seconds"] >= 0
    assert second["queue_seconds"] > 0
    assert 0 < told.over["time"]["goodput"] < 1
    assert told.over["stalls"]["count"] > 0


def test_a_chain_that_ended_says_where_and_why(told: Told) -> None:
    """In the words of the stage that failed first."""
    assert told.ended_chain["stage"] == "failed (plan)"
    assert told.ended_chain["ended"].startswith("plan: ")
    assert "silence" in told.ended_chain["ended"]
    assert {stage["state"] for stage in told.ended_chain["stages"]} == {"failed"}


def test_the_logs_of_both_attempts_are_followed_to_the_end(told: Told) -> None:
    """From before there was one, over the requeue, until the run was finished; then the command ended by itself."""
    assert told.log_code == 0
    assert told.log[0] == f"job {told.story.job} (wavenet-train-seen) is PENDING (JobHeldUser); no log yet"
    starts = [line.rpartition("_restart-")[2] for line in told.log if line.startswith("==> ") and "_restart-" in line]
    assert list(dict.fromkeys(starts)) == ["0.log <==", "1.log <=="]  # between them the batch script's own words
    assert any("is PENDING (BeginTime)" in line for line in told.log)
    assert told.log[-1].startswith("committed checkpoint step-")
