"""How each attempt spent its time adds up, and `status`, which reads little of a file, tells what the report does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.attempts import read_attempts, read_stalls
from jobs.progress.standing import look_at
from jobs.progress.status_words import in_words
from wavenet.checkpoint.ledger import Owner
from wavenet.report.gather import gather
from wavenet.report.view import attempt_rows
from wavenet.run_paths import RunPaths
from wavenet.training.history import HistoryWriter, overtaken_by, read_history
from wavenet.training.job import Launch
from wavenet.training.loop import train
from wavenet.training.spent import account_of, kept_steps, percentile
from wavenet.training.stopping import StopRequest
from wavenet.training.stopwatch import Stopwatch

from .test_resume import StopAfter, quiet


class Clock:
    """Goes as far as it is told."""

    seconds = 1000.0

    def __call__(self):
        return self.seconds


def test_a_stopwatch_tells_what_came_before_the_first_step_and_what_since():
    clock = Clock()
    watch = Stopwatch(began=993.0, now=clock)
    clock.seconds = 1003.0
    assert watch.start() == {"startup_seconds": 7.0, "age_seconds": 10.0}
    clock.seconds = 1004.0
    assert watch.ready() == {"loading_seconds": 4.0}
    clock.seconds = 1006.5
    assert [watch.first_step(), watch.first_step()] == [{"first_step_seconds": 2.5}, {}]
    watch.add("steps", 2.0)
    assert watch.add("commits", 0.5) == {"spent": {"steps": 2.0, "validation": 0.0, "commits": 0.5}}


def long_run(run, attempts, per_step=0.5):
    """Attempts of (resumed step, last step), with a commit at every hundredth step."""
    for number, (resumed, last) in enumerate(attempts, start=1):
        overtook = overtaken_by(run, number)
        watch, history = Stopwatch(), HistoryWriter(run, number)
        history.append(
            "start", attempt=number, resumed_step=resumed, startup_seconds=3.0, age_seconds=3.5, overtook=overtook
        )
        history.append("ready", loading_seconds=2.0)
        for step in range(resumed + 1, last + 1):
            facts = {**watch.add("steps", per_step), **watch.first_step()}
            history.append("step", step=step, loss=2.1, seconds=per_step, learning_rate=1e-3, **facts)
            if step % 100 == 0:
                stalls = {"count": step // 100, "p50": 0.1, "p99": float(step), "interval": 300.0}
                history.append("commit", step=step, stalls=stalls, stall_seconds=0.1, **watch.add("commits", 0.1))
        history.append("end", cause="preemption", step=last, detail="", **watch.facts())
        history.close()


CASES = [
    [(0, 1000)],
    [(0, 990), (900, 1000)],
    [(0, 950), (900, 1400), (600, 1200)],
    [(0, 30), (0, 2), (0, 0), (0, 700)],
    [(0, 5), (5, 400), (200, 200), (200, 3000)],
]


@pytest.mark.parametrize("attempts", CASES)
def test_status_tells_of_each_attempt_what_the_report_does(tmp_path, attempts):
    """It looks for the step at which a successor went on, somewhere in the middle of a file."""
    run = RunPaths(tmp_path)
    long_run(run, attempts)
    whole, quick = read_history(run).attempts, read_attempts(run)
    assert [one.spent for one in quick] == [one.spent for one in whole]
    assert [(one.step, one.lost_steps) for one in quick] == [(one.last_step, one.lost_steps) for one in whole]
    history = read_history(run)
    account = account_of(one.spent for one in history.attempts)
    assert account.steps == pytest.approx(0.5 * len(history.steps))
    made = sum(last - resumed for resumed, last in attempts)
    assert account.lost == pytest.approx(0.5 * (made - len(history.steps)))
    assert sum(one.lost_steps for one in quick) == made - len(history.steps)


@pytest.mark.parametrize(("attempts", "saved"), [([(0, 1000)], 600), ([(0, 950), (900, 960)], 900), ([(0, 9)], 0)])
def test_the_newest_commit_tells_of_all_stalls(tmp_path, attempts, saved):
    run = RunPaths(tmp_path)
    long_run(run, attempts)
    newest = read_attempts(run)[-1]
    stalls = read_stalls(run, newest, saved)
    is_own = saved > newest.resumed_step
    assert (stalls and stalls.p99) == (saved if is_own else None)


def test_the_time_until_slurm_put_a_job_back_was_used(tmp_path):
    """Its last sign of life may be long before: a node that is lost is noticed late."""
    run = RunPaths(tmp_path)
    history = HistoryWriter(run, 1)
    history.append("start", job_id="12", age_seconds=10.0)
    history.close()
    start = datetime.fromisoformat(run.attempt_history(1).read_text("utf-8").split('"')[7])
    again = HistoryWriter(run, 2)
    again.append("start", job_id="12", age_seconds=5.0, queue_seconds=-600.0)
    again.close()
    put_back = datetime.fromisoformat(run.attempt_history(2).read_text("utf-8").split('"')[7])
    used = 10.0 + (put_back - start).total_seconds() - 5.0 + 600.0
    assert read_history(run).attempts[0].spent.used == pytest.approx(used)


@given(st.lists(st.integers(0, 50), min_size=1))
def test_a_step_counts_as_far_as_every_later_attempt_went_on_behind_it(resumed):
    for number, kept in enumerate(kept_steps(resumed)):
        later = resumed[number + 1 :]
        assert kept == (min(later) if later else None)


@given(st.lists(st.floats(0, 100), min_size=1), st.sampled_from([0.5, 0.99]))
def test_a_percentile_is_one_of_the_values_and_so_many_do_not_exceed_it(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_a_real_training_accounts_for_its_time(job):
    """Parts are no more than the whole, and each attempt knows what the run's earlier commits cost."""
    job = replace(job, training=replace(job.training, checkpoint_every=2), owner=Owner("host", 1, 1))
    assert train(job, StopAfter(3), quiet).step == 3
    assert train(replace(job, launch=Launch(queue_seconds=42.0)), StopRequest(), quiet).is_finished
    history = read_history(job.run)
    first, second = (attempt.spent for attempt in history.attempts)
    assert (first.queue, second.queue) == (None, 42.0)
    for spent in (first, second):
        assert min(spent.loading, spent.first_step, spent.steps, spent.commits) > 0
    account = account_of([first, second])
    assert 0 < account.goodput < 1
    parts = ("steps", "validation", "commits", "lost", "startup", "loading", "other")
    assert account.used == pytest.approx(sum(getattr(account, part) for part in parts), abs=0.01)
    assert history.stalls.count == 5
    assert 0 < history.stalls.p50 <= history.stalls.p99
    quick = read_attempts(job.run)
    assert [one.spent for one in quick] == [first, second]
    assert read_stalls(job.run, quick[-1], 8) == history.stalls


def test_an_untouched_and_an_interrupted_run_have_the_same_validations(job, tmp_path):
    """Also where the stop came when one was due: at steps 2 and 4, and during the last step."""
    job = replace(job, training=replace(job.training, validation_every=2))
    untouched = replace(job, run=RunPaths(tmp_path / "untouched"))
    assert train(untouched, StopRequest(), quiet).is_finished
    for step in (2, 2, 1, 3):
        train(job, StopAfter(step), quiet)
    ours, theirs = read_history(job.run), read_history(untouched.run)
    assert [row.step for row in ours.validations] == [2, 4, 6, 8]
    assert [(row.step, row.loss, row.per_class) for row in ours.validations] == [
        (row.step, row.loss, row.per_class) for row in theirs.validations
    ]
    assert np.array_equal([row.loss for row in ours.steps], [row.loss for row in theirs.steps])


@pytest.mark.parametrize("damage", ["bit flipped", "cut short"])
def test_a_damaged_newest_checkpoint_is_named_by_status_and_report(job, damage):
    """The run goes on from the one before it, and the steps between count as lost."""
    job = replace(job, training=replace(job.training, checkpoint_steps=(2,)))
    assert train(job, StopAfter(3), quiet).step == 3
    weights = job.run.checkpoint(3) / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content if damage == "bit flipped" else content[:-5])
    lines = []
    assert train(job, StopRequest(), lines.append).is_finished
    (told,) = read_history(job.run).attempts[1].damages
    assert "step-00000003" in told
    assert any(line.startswith(told) and line.endswith("goes on from step 2") for line in lines)
    state = look_at(job.run)
    assert [one["lost_steps"] for one in state.attempts] == [1, 0]
    assert f"    damaged: {told}; attempt 2 went on from step 2" in in_words(state)
    assert [row["damages"] for row in attempt_rows(gather(job.run))] == ["", told]
