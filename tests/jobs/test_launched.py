"""How long a job waited is read from what Slurm says of it while it runs."""

from __future__ import annotations

import time

import pytest

from jobs.environment import Placement
from jobs.queue.launched import launch_of, queue_seconds
from wavenet.world import World

TOLD = {
    "SubmitTime": "2026-11-23T01:00:00",
    "EligibleTime": "2026-11-23T01:02:00",
    "StartTime": "2026-11-23T01:10:30",
}


@pytest.mark.parametrize(
    ("told", "restart_count", "seconds"),
    [
        (TOLD, 0, 510.0),
        (TOLD, 1, 630.0),
        ({**TOLD, "EligibleTime": "Unknown"}, 0, None),
        ({**TOLD, "StartTime": "2026-11-23T01:01:59"}, 0, 0.0),
        ({}, 3, None),
    ],
)
def test_a_job_waits_from_when_it_might_start_and_one_put_back_from_then(
    told: dict[str, str], restart_count: int, seconds: float | None
) -> None:
    """The wait for another job, or until somebody releases it, is none for a node."""
    assert queue_seconds(told, restart_count) == seconds


def test_a_process_outside_of_slurm_began_when_it_was_started() -> None:
    """And waited in no queue."""
    launch = launch_of(Placement(None, 0, World()))
    assert launch.queue_seconds is None
    assert launch.began is not None
    assert launch.began < time.monotonic()
