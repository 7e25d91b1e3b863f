"""All attempts of a run together take no more hours than they may, and what is saved then goes on with more."""

from __future__ import annotations

from dataclasses import replace

from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history
from wavenet.training.hours import CAUSE, Hours
from wavenet.training.loop import train
from wavenet.training.stopping import StopRequest


def quiet(line):
    """A log that nobody reads."""


def bits(run):
    return {path.name: path.read_bytes() for path in run.checkpoint(8).iterdir()}


def test_hours_that_are_over_end_the_attempt_and_more_of_them_go_on(job, changed, tmp_path):
    """The state is saved at the end of the step in which they end, and the run ends with the same bits."""
    limited = replace(changed(job, max_hours=2.0), used_seconds=7200.0)
    outcome = train(limited, StopRequest(), quiet)
    assert (outcome.is_finished, outcome.cause, outcome.step) == (False, "hours used up", 1)
    assert [one.step for one in list_committed(job.run)] == [1]
    assert read_history(job.run).attempts[0].cause == "hours used up"
    assert train(changed(limited, max_hours=3.0), StopRequest(), quiet).is_finished
    untouched = replace(job, run=RunPaths(tmp_path / "untouched"))
    assert train(untouched, StopRequest(), quiet).is_finished
    assert bits(job.run) == bits(untouched.run)


def test_hours_are_those_of_earlier_attempts_and_of_this_one():
    """Exactly at the limit they are over; without one they never are."""
    assert Hours(1.0, used_seconds=3000.0, began=50.0, now=lambda: 649.0).cause() is None
    assert Hours(1.0, used_seconds=3000.0, began=50.0, now=lambda: 650.0).cause() == CAUSE
    assert Hours(0.0, used_seconds=1e9, began=0.0, now=lambda: 1e9).cause() is None
