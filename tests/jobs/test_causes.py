"""What Slurm says of a job that is being stopped, as 22.05 said it when it was asked, and the cause that follows."""

from __future__ import annotations

import pytest

from jobs.causes import JobStop, cause_of_stop, told_by_scheduler
from jobs.environment import Placement
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
        (ENDING, "0", "CANCEL", False, "preemption", "preemption"),
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
    assert told_by_scheduler(told, 0, guess, lambda _: partition, lambda _: is_down) == cause


def test_the_users_own_stop_comes_before_all_else(tmp_path: object) -> None:
    """`wavenet cancel` leaves a mark, and then signals as everybody does."""
    run = RunPaths(tmp_path / "run")
    here = Placement(None, 0, World())
    assert cause_of_stop(run, here, "preemption") == "preemption"
    mark_stopped(run)
    assert cause_of_stop(run, here, "preemption") == "user"


def test_nobody_is_asked_before_all_is_saved() -> None:
    """The loop stops on the guess; asking takes time that a job may not have."""
    asked = []
    stop = JobStop(lambda guess: asked.append(guess) or "requeue")
    assert stop.settled("finished") == "finished"
    stop.request("preemption")
    assert stop.cause == "preemption"
    assert asked == []
    assert stop.settled("preemption") == "requeue"
    assert stop.settled("finished") == "finished"
