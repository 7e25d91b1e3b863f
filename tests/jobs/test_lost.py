"""Why an attempt wrote no end is found out from what it was told, what its batch script saw and what Slurm says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.environment import Placement
from jobs.queue.lost import lost_attempt
from wavenet.run_paths import RunPaths
from wavenet.training.history import HistoryWriter
from wavenet.training.job import LostAttempt
from wavenet.world import World

AGAIN = Placement("12", 1, World())
ELSEWHERE = Placement("13", 0, World())
LONG_AGO, IN_THE_FUTURE = "2016-09-12T00:00:00", "2116-09-12T00:00:00"

Say = Callable[[str, str], None]


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    run = RunPaths(tmp_path / "run")
    run.jobs.mkdir(parents=True)
    return run


@pytest.fixture
def slurm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Puts a command of Slurm's on the PATH that answers with a text; those without one are not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def say(command: str, answer: str) -> None:
        (folder / command).write_text(f"#!/bin/sh\necho {shlex.quote(answer)}\n", encoding="utf-8")
        (folder / command).chmod(0o755)

    return say


def begin(run: RunPaths, *, job_id: str | None = "12", told: str | None = None, is_ended: bool = False) -> None:
    """An attempt of three steps."""
    history = HistoryWriter(run, 1)
    history.append("start", host="n7.cluster", pid=1, job_id=job_id, restart_count=0, resumed_step=0, num_steps=9)
    for step in (1, 2, 3):
        history.append("step", step=step, loss=1.0, seconds=0.1)
    if told:
        history.append("told", cause=told)
    if is_ended:
        history.append("end", cause="user", step=3, detail="")
    history.close()


def decide(run: RunPaths, words: str) -> None:
    (run.jobs / "decisions.log").write_text(f"2026-11-23T02:37:45Z job 12 restart 0 on n7: {words}\n", encoding="utf-8")


def test_an_attempt_that_wrote_its_end_is_not_lost(run: RunPaths) -> None:
    """Nor is one that never began."""
    assert lost_attempt(run, AGAIN) is None
    begin(run, is_ended=True)
    assert lost_attempt(run, AGAIN) is None


def test_what_it_was_told_comes_first(run: RunPaths, slurm_says: Say) -> None:
    """It was killed before it had saved all."""
    begin(run, told="preemption")
    slurm_says("sinfo", "down*")
    decide(run, "ended with 137: requeued")
    assert lost_attempt(run, AGAIN) == LostAttempt(1, "preemption", "killed before it could write its end")


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        ("ended with 137: requeued", "killed by SIGKILL"),
        ("ended with 139: requeued", "killed by SIGSEGV"),
        ("ended with 1: requeue refused, handed over to job 13", "ended with exit code 1"),
    ],
)
def test_an_end_that_its_batch_script_saw_is_a_crash(run: RunPaths, slurm_says: Say, words: str, detail: str) -> None:
    """The node was there, and Slurm had not asked for it."""
    begin(run)
    slurm_says("sinfo", "down*")
    decide(run, words)
    assert lost_attempt(run, AGAIN) == LostAttempt(1, "crash", detail)


def test_memory_that_its_batch_script_saw_run_out_is_named(run: RunPaths, slurm_says: Say) -> None:
    """With what was asked for, and what to change."""
    begin(run)
    decide(run, "ended with 1 (out of memory, 100 MB asked for): requeued")
    found = lost_attempt(run, AGAIN)
    assert found is not None
    assert found.cause == "out of memory"
    assert found.detail.startswith("out of memory, 100 MB asked for; ask for more memory (cluster.memory_gb)")


@pytest.mark.parametrize("words", ["", "ended with 0: requeued by Slurm"])
@pytest.mark.parametrize("state", ["down*", "down", "idle*", "mixed"])
def test_an_end_that_nobody_saw_is_a_lost_node(run: RunPaths, slurm_says: Say, words: str, state: str) -> None:
    """Whether the node is still away or has come back: otherwise its batch script would have seen the end."""
    begin(run)
    slurm_says("sinfo", state)
    slurm_says("scontrol", f"NodeName=n7 BootTime={LONG_AGO}")
    decide(run, words)
    found = lost_attempt(run, AGAIN)
    assert found is not None
    assert (found.cause, "lost" in found.detail) == ("node failure", state != "mixed")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (f"JobState=FAILED BootTime={IN_THE_FUTURE}", "node failure"),
        (f"JobState=NODE_FAIL BootTime={LONG_AGO}", "node failure"),
        (f"JobState=PREEMPTED BootTime={LONG_AGO}", "preemption"),
        (f"JobState=TIMEOUT BootTime={LONG_AGO}", "time limit"),
        (f"JobState=CANCELLED BootTime={LONG_AGO}", "user"),
        (f"JobState=OUT_OF_MEMORY BootTime={LONG_AGO}", "out of memory"),
        ("", "crash"),
    ],
)
def test_of_another_job_slurm_says_how_it_ended(run: RunPaths, slurm_says: Say, answer: str, cause: str) -> None:
    """Unless its node was started again since."""
    begin(run)
    slurm_says("sinfo", "idle")
    slurm_says("scontrol", answer)
    slurm_says("squeue", "")
    found = lost_attempt(run, ELSEWHERE)
    assert found is not None
    assert found.cause == cause


def test_without_a_scheduler_it_is_a_crash(run: RunPaths, slurm_says: Say) -> None:
    """On one machine nobody else is asked."""
    begin(run, job_id=None)
    assert lost_attempt(run, Placement(None, 0, World())) == LostAttempt(1, "crash", "")
