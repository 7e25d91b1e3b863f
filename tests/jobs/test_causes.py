"""What Slurm says of a job that is being stopped, as 22.05 said it when it was asked, and the cause that follows."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from jobs.environment import Placement
from jobs.queue import scheduler
from jobs.queue.causes import JobStop, cause_of_stop, seconds_left, told_by_scheduler
from jobs.queue.deadlines import Notice
from jobs.stopped import mark_stopped
from wavenet.run_paths import RunPaths
from wavenet.world import World

RUNNING = {
    "JobState": "RUNNING",
    "Restarts": "0",
    "PreemptTime": "None",
    "RunTime": "00:01:00",
    "TimeLimit": "01:00:00",
}
ENDING = {**RUNNING, "JobState": "COMPLETING"}
PREEMPTED_FOR_GOOD = {**ENDING, "PreemptTime": "2026-11-23T01:42:54", "EndTime": "2026-11-23T01:42:54"}


@pytest.mark.parametrize(
    ("told", "grace", "mode", "is_down", "guess", "cause"),
    [
        ({**RUNNING, "PreemptTime": "2026-11-22T23:50:41"}, "15", "REQUEUE", False, "preemption", "preemption"),
        ({**RUNNING, "PreemptTime": "2026-11-22T23:50:41"}, "15", "REQUEUE", False, "time limit", "preemption"),
        (RUNNING, "15", "REQUEUE", False, "time limit", "time limit"),
        ({**ENDING, "Restarts": "1"}, "0", "REQUEUE", False, "preemption", "preemption"),
        ({**ENDING, "Restarts": "1"}, "15", "REQUEUE", False, "preemption", "requeue"),
        ({**ENDING, "Restarts": "1"}, "0", "OFF", False, "preemption", "requeue"),
        ({**ENDING, "Restarts": "1", "JobState": "PENDING"}, "0", "REQUEUE", True, "preemption", "node failure"),
        (ENDING, "15", "REQUEUE", False, "preemption", "user"),
        (PREEMPTED_FOR_GOOD, "0", "CANCEL", False, "preemption", "preemption"),
        (PREEMPTED_FOR_GOOD, "15", "CANCEL", False, "preemption", "preemption"),
        ({**PREEMPTED_FOR_GOOD, "EndTime": "2026-11-23T01:42:59"}, "15", "CANCEL", False, "preemption", "user"),
        (ENDING, "0", "CANCEL", False, "preemption", "user"),
        (
            {**ENDING, "RunTime": "1-00:00:01", "TimeLimit": "1-00:00:00"},
            "15",
            "REQUEUE",
            False,
            "preemption",
            "time limit",
        ),
        ({**ENDING, "TimeLimit": "UNLIMITED"}, "15", "REQUEUE", False, "preemption", "user"),
    ],
)
def test_the_scheduler_knows_more_than_the_signal(
    told: dict[str, str], grace: str, mode: str, is_down: bool, guess: str, cause: str
) -> None:
    """TERM alone may be any of five events."""
    partition = {"GraceTime": grace, "PreemptMode": mode}
    assert told_by_scheduler(told, 0, guess, lambda _: partition, lambda: is_down) == cause


HERE = Placement(None, 0, World())
NOTICE = Notice(kill_seconds=8, warning_seconds=90)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "run")


def test_a_job_that_is_being_told_is_a_running_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm calls it SIGNALING until its nodes have answered; taken for an ending one it would seem cancelled."""
    script = tmp_path / "scontrol"
    script.write_text(
        "#!/bin/sh\necho JobId=7 JobState=SIGNALING Restarts=0 PreemptTime=2026-11-23T04:02:21\n", "utf-8"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert scheduler.facts_of("7")["JobState"] == "RUNNING"


def test_the_users_own_stop_comes_before_all_else(run: RunPaths) -> None:
    """`wavenet cancel` leaves a mark, and then signals as everybody does."""
    assert cause_of_stop(run, HERE, "preemption", RUNNING) == "preemption"
    mark_stopped(run)
    assert cause_of_stop(run, HERE, "preemption", RUNNING) == "user"


@pytest.mark.parametrize(
    ("told", "cause", "mode", "seconds"),
    [
        ({"PreemptTime": "2026-11-22T23:50:41", "EndTime": "2026-11-22T23:50:56"}, "preemption", "REQUEUE", 23),
        ({"PreemptTime": "2026-11-22T23:50:41", "EndTime": "2026-11-22T23:50:56"}, "preemption", "CANCEL", 15),
        ({"PreemptTime": "2026-11-22T23:50:41", "EndTime": "2026-11-22T23:50:41"}, "preemption", "CANCEL", 8),
        ({"PreemptTime": "2026-11-22T23:50:41", "EndTime": "Unknown"}, "preemption", "REQUEUE", 8),
        ({"TimeLimit": "00:02:30"}, "time limit", "REQUEUE", 90),
        ({"TimeLimit": "00:00:59"}, "time limit", "REQUEUE", 0),
        ({"TimeLimit": "UNLIMITED"}, "time limit", "REQUEUE", None),
        ({"JobState": "COMPLETING"}, "requeue", "REQUEUE", None),
    ],
)
def test_the_scheduler_knows_how_much_time_is_left(
    told: dict[str, str], cause: str, mode: str, seconds: float | None
) -> None:
    """Grace time and KillWait; without KillWait where the job must put itself back while Slurm still lets it."""
    assert seconds_left({**RUNNING, **told}, cause, 8, lambda _: {"PreemptMode": mode}) == seconds


@pytest.mark.parametrize(
    ("number", "cause", "seconds"),
    [(signal.SIGTERM, "preemption", 8), (signal.SIGUSR2, "time limit", 90), (signal.SIGINT, "user", 8)],
)
def test_a_signal_gives_the_time_that_it_gives_at_the_least(
    run: RunPaths, number: signal.Signals, cause: str, seconds: float
) -> None:
    """Counted from the moment at which it came."""
    stop = JobStop(run, HERE, NOTICE)
    before = time.monotonic()
    stop.hear([number])
    assert stop.cause == cause
    assert stop.deadline is not None
    assert before + seconds <= stop.deadline <= time.monotonic() + seconds


def test_a_second_signal_may_shorten_the_time_and_keeps_the_cause(run: RunPaths) -> None:
    """SIGTERM at the time limit itself follows the warning."""
    stop = JobStop(run, HERE, NOTICE)
    stop.hear([signal.SIGUSR2])
    stop.hear([signal.SIGTERM, signal.SIGTERM])
    assert stop.cause == "time limit"
    assert stop.deadline is not None
    assert stop.deadline <= time.monotonic() + 8
    stop.hear([signal.SIGUSR2])
    assert stop.deadline <= time.monotonic() + 8


def test_a_finished_run_has_not_been_stopped(run: RunPaths) -> None:
    """The signal came too late to matter."""
    stop = JobStop(run, HERE, NOTICE)
    assert stop.settled("finished") == "finished"
    stop.hear([signal.SIGTERM])
    assert stop.settled("finished") == "finished"
    assert stop.settled("preemption") == "preemption"
