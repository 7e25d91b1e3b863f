"""`wavenet status` reads files only, says what a run is doing, and is quick with many runs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from jobs.environment import host_name
from jobs.frozen import RunConfig, settle
from jobs.processes import started_tick
from jobs.standing import look_at
from jobs.status import list_runs
from jobs.status_words import in_words
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.history import HistoryWriter

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NUM_STEPS = 2000


def attempt(run: RunPaths, first: int, last: int, cause: str | None, host: str = "here", pid: int = 1) -> None:
    """What an attempt leaves behind that took the steps first+1 ... last and committed the last one."""
    owner = Owner(host, pid, started_tick(pid) or 0)
    ledger = Ledger.claim(run, owner)
    history = HistoryWriter(run, ledger.attempt)
    history.append("start", attempt=ledger.attempt, host=host, pid=pid, resumed_step=first, num_steps=NUM_STEPS)
    for step in range(first + 1, last + 1):
        history.append("step", step=step, loss=3 - step / NUM_STEPS, seconds=0.25, learning_rate=1e-3, gradient_norm=1)
    ledger.append("commit", step=last, payload="x", digest="x", bytes=1)
    if cause:
        history.append("end", cause=cause, step=last, detail="")
    history.close()


def begun(folder: Path) -> RunPaths:
    run = RunPaths(folder)
    settle(run, RunConfig("tiny", 0, "data", "abc", ModelConfig(), TrainingConfig(num_steps=NUM_STEPS)), ())
    return run


def test_a_run_tells_its_restarts_and_why(tmp_path: Path) -> None:
    """Cause of each restart, where it went on, and whether it moved to another machine."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 300, "preemption")
    attempt(run, 300, 500, None, host="there")
    attempt(run, 500, NUM_STEPS, "finished", host="there")
    state = look_at(run)
    assert [{key: one[key] for key in one if key != "time"} for one in state.restarts] == [
        {"step": 300, "cause": "preemption", "moved": True, "host": "there"},
        {"step": 500, "cause": "crash", "moved": False, "host": "there"},
    ]
    assert all(datetime.fromisoformat(one["time"]).tzinfo for one in state.restarts)
    assert (state.stage, state.step, state.num_steps, state.loss) == ("trained", NUM_STEPS, NUM_STEPS, 2.0)
    assert in_words(state) == [
        "a: trained, step 2000/2000 (100 %), loss 2.000, 0.250 s/step",
        "    restarts: 1 x preemption (moved), 1 x crash; the last at step 500 on there",
    ]


def test_a_living_owner_is_told_from_a_dead_one(tmp_path: Path) -> None:
    """This process lives; one whose number was used again does not; of another machine's nobody here knows."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, None, host=host_name(), pid=os.getpid())
    state = look_at(run)
    assert (state.stage, state.owner_alive, state.seconds_left) == ("training", True, (NUM_STEPS - 100) * 0.25)
    assert f"process {os.getpid()} on {host_name()}" in in_words(state)[0]
    Ledger.claim(run, Owner(host_name(), os.getpid(), 1))
    assert (look_at(run).stage, look_at(run).owner_alive) == ("interrupted (crash)", False)
    Ledger.claim(run, Owner("elsewhere", 1, 1))
    assert look_at(run).owner_alive is None


@pytest.mark.parametrize("cause", ["time limit", "user", "nan loss"])
def test_a_run_that_stopped_says_why(tmp_path: Path, cause: str) -> None:
    """In the words of its history."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, cause)
    assert look_at(run).stage == f"interrupted ({cause})"


def test_a_damaged_run_hides_no_other(tmp_path: Path, wavenet: Run) -> None:
    """Its problem is told with it."""
    attempt(begun(tmp_path / "runs" / "good"), 0, 10, "user")
    bad = begun(tmp_path / "runs" / "bad")
    bad.config.write_text("a: [")
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "empty").mkdir()
    done = wavenet("status", "--json")
    states = {state["run"]: state for state in json.loads(done.stdout)}
    assert states.keys() == {"good", "bad"}
    assert "config.yaml" in states["bad"]["problem"]
    assert states["good"]["problem"] is None


def test_fifty_runs_cost_less_than_importing_torch(tmp_path: Path, wavenet: Run) -> None:
    """Of the processor's time, and against something of the same machine, so that a busy one does not decide."""
    for number in range(50):
        run = begun(tmp_path / "runs" / f"run {number}")
        attempt(run, 0, 500, "preemption")
        attempt(run, 500, 1000, "user")
    assert len(list_runs(tmp_path / "runs")) == 50
    before = children_seconds()
    done = wavenet("status")
    between = children_seconds()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, timeout=120)
    assert done.stdout.count("1 x preemption") == 50
    assert between - before < children_seconds() - between


def children_seconds() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_no_runs_is_an_answer(wavenet: Run) -> None:
    """With what to do next."""
    done = wavenet("status")
    assert (done.returncode, done.stdout) == (0, "no runs in runs; `wavenet train run=NAME` starts one\n")
