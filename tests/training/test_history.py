"""The merged history shows the work that counts and every restart with its cause."""

from __future__ import annotations

import pytest

from wavenet.run_paths import RunPaths
from wavenet.training.history import HistoryWriter, overtaken_by, read_history


@pytest.fixture
def run(tmp_path):
    return RunPaths(tmp_path)


def write_attempt(run, number, *, resumed, steps, cause=None, host="n1", told=None, lost=None):
    overtook = overtaken_by(run, number)
    history = HistoryWriter(run, number)
    history.append(
        "start", attempt=number, host=host, resumed_step=resumed, num_steps=100, lost=lost, overtook=overtook
    )
    for step in steps:
        history.append("step", step=step, loss=float(number), seconds=0.5, learning_rate=1e-3, gradient_norm=1.0)
        history.append("validation", step=step, loss=float(number), per_class={0: 1.0})
    if told is not None:
        history.append("told", cause=told)
    if cause is not None:
        history.append("end", cause=cause, step=max(steps, default=resumed), detail="")
    history.close()


def test_a_run_without_history_is_empty(run):
    history = read_history(run)
    assert (history.steps, history.validations, history.attempts) == ([], [], [])


def test_steps_computed_again_count_once_and_as_the_newer_attempt_made_them(run):
    write_attempt(run, 1, resumed=0, steps=range(1, 16))
    write_attempt(run, 2, resumed=10, steps=range(11, 21), cause="finished")
    history = read_history(run)
    assert [row.step for row in history.steps] == list(range(1, 21))
    assert [row.attempt for row in history.steps] == [1] * 10 + [2] * 10
    assert [row.attempt for row in history.validations] == [1] * 10 + [2] * 10


def test_lost_steps_do_not_count_before_they_are_made_again(run):
    write_attempt(run, 1, resumed=0, steps=range(1, 16))
    write_attempt(run, 2, resumed=10, steps=[11])
    assert [row.step for row in read_history(run).steps] == list(range(1, 12))


def test_an_end_that_was_never_written_is_a_crash_once_a_newer_attempt_exists(run):
    write_attempt(run, 1, resumed=0, steps=[1], cause="preemption")
    write_attempt(run, 2, resumed=1, steps=[2])
    assert [row.cause for row in read_history(run).attempts] == ["preemption", "running"]
    write_attempt(run, 3, resumed=1, steps=[2], cause="finished", host="n2")
    attempts = read_history(run).attempts
    assert [row.cause for row in attempts] == ["preemption", "crash", "finished"]
    assert [row.last_step for row in attempts] == [1, 2, 2]
    assert [row.host for row in attempts] == ["n1", "n1", "n2"]


def test_an_attempt_that_was_told_to_stop_and_wrote_no_end_ended_for_that_reason(run):
    write_attempt(run, 1, resumed=0, steps=[1], told="preemption")
    assert [(row.cause, row.told) for row in read_history(run).attempts] == [("running", "preemption")]
    write_attempt(run, 2, resumed=1, steps=[2])
    assert [row.cause for row in read_history(run).attempts] == ["preemption", "running"]


def write_late(run, number, steps):
    """What a process does that was cut off and knows nothing of its successor."""
    history = HistoryWriter(run, number)
    for step in steps:
        history.append("step", step=step, loss=9.0, seconds=9.0, learning_rate=1e-3, gradient_norm=1.0)
        history.append("validation", step=step, loss=9.0, per_class={0: 9.0})
    history.append("told", cause="time limit")
    history.append("end", cause="crash", step=max(steps), detail="overtaken")
    history.close()


def test_what_an_overtaken_attempt_writes_does_not_count(run):
    """Its successor found no end and step 3; what comes later, an end too, was written by a zombie."""
    lost = {"attempt": 1, "cause": "node failure", "detail": "n1 was lost"}
    write_attempt(run, 1, resumed=0, steps=[1, 2, 3])
    write_attempt(run, 2, resumed=2, steps=[3], cause="finished", lost=lost)
    before = read_history(run)
    write_late(run, 1, range(4, 9))
    assert read_history(run) == before
    assert [(row.cause, row.detail) for row in before.attempts] == [("node failure", "n1 was lost"), ("finished", "")]
    assert [(row.last_step, row.lost_steps, row.told) for row in before.attempts] == [(3, 1, None), (3, 0, None)]
    assert [(row.step, row.attempt) for row in before.steps] == [(1, 1), (2, 1), (3, 2)]


def test_an_attempt_overtaken_before_it_wrote_anything_has_no_rows_that_count(run):
    write_attempt(run, 1, resumed=0, steps=[1, 2], cause="preemption")
    HistoryWriter(run, 2).close()
    write_attempt(run, 3, resumed=2, steps=[3], cause="finished")
    before = read_history(run)
    write_late(run, 2, [3, 4])
    assert read_history(run) == before
    assert [row.attempt for row in before.attempts] == [1, 3]


def test_an_end_that_was_written_before_the_run_was_taken_over_counts(run):
    """What the successor made out comes second, for it had looked before."""
    write_attempt(run, 1, resumed=0, steps=[1], cause="preemption")
    lost = {"attempt": 1, "cause": "node failure", "detail": "n1 was lost"}
    write_attempt(run, 2, resumed=1, steps=[2], cause="finished", lost=lost)
    assert [row.cause for row in read_history(run).attempts] == ["preemption", "finished"]


def test_what_is_written_after_the_end_is_dropped(run):
    """Another thread may still have something to say when the file is closed."""
    history = HistoryWriter(run, 1)
    history.append("start", attempt=1, host="n1")
    history.close()
    history.append("told", cause="preemption")
    assert read_history(run).attempts[0].told is None


def test_a_row_torn_by_a_crash_is_dropped_and_the_rest_is_read(run):
    write_attempt(run, 1, resumed=0, steps=[1, 2])
    with run.attempt_history(1).open("a") as file:
        file.write('{"kind": "step", "step": 3, "lo')
    assert [row.step for row in read_history(run).steps] == [1, 2]
