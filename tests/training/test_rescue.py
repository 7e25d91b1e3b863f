"""A process that is told to stop in the middle of something long saves its last finished step and ends before it is
killed; the next attempt ends with the bits of a run that was never touched.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger
from wavenet.run_paths import RunPaths
from wavenet.training import loop
from wavenet.training.history import read_history
from wavenet.training.loop import train
from wavenet.training.rescue import seconds_to_save
from wavenet.training.stopping import StopRequest
from wavenet.world import World

# Processes forked from a server that has imported torch once: real processes without its seconds of start-up each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wavenet.training.loop"])
NOTICE = 1.0  # seconds from the signal to the end


def quiet(line):
    """A log that nobody reads."""


def for_ever():
    """What a step, a validation or a file that takes too long does."""
    threading.Event().wait()


class ToldIn(StopRequest):
    """Is told to stop in the middle of step number ``step``, which then never ends."""

    def __init__(self, step, meanwhile=for_ever):
        super().__init__()
        self._steps_left = step
        self._meanwhile = meanwhile

    def poll(self):
        self._steps_left -= 1
        if self._steps_left == 0:
            self.request("preemption", time.monotonic() + NOTICE)
            self._meanwhile()
        return self.cause


def in_the_middle_of_a_step(job):
    train(job, ToldIn(step=4), quiet)


def while_validating(job):
    """After step 4, which is the last finished one then."""
    stop = StopRequest()

    def validate(*_):
        stop.request("preemption", time.monotonic() + NOTICE)
        for_ever()

    loop.validate = validate
    train(job, stop, quiet)


def while_reading(job):
    """Batch number 3, of step 4, never comes."""
    stop = StopRequest()
    read = loop._Batches.__call__

    def slow(batches, position):
        if position == 3:  # read ahead of its step
            while not any(row.step == 3 for row in read_history(job.run).steps):
                time.sleep(0.01)
            stop.request("preemption", time.monotonic() + NOTICE)
            for_ever()
        return read(batches, position)

    loop._Batches.__call__ = slow
    train(job, stop, quiet)


def before_the_first_step(job):
    """Nothing is done that could be saved, and the next attempt begins where this one did."""
    train(job, ToldIn(step=1), quiet)


def exit_code_of(function, *arguments):
    process = PROCESSES.Process(target=function, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode


@pytest.fixture
def untouched(job, tmp_path):
    """The files of the last checkpoint of a run that nothing interrupted."""
    run = RunPaths(tmp_path / "untouched")
    assert train(replace(job, run=run), StopRequest(), quiet).is_finished
    return bits(run)


def bits(run):
    return {path.name: path.read_bytes() for path in run.checkpoint(8).iterdir()}


@pytest.mark.parametrize(
    ("told", "last_finished"),
    [(in_the_middle_of_a_step, 3), (while_validating, 4), (while_reading, 3), (before_the_first_step, 0)],
)
def test_the_last_finished_step_is_saved_and_nothing_else_is_waited_for(job, untouched, told, last_finished):
    assert exit_code_of(told, job) == 75
    assert [one.step for one in store.list_committed(job.run)] == ([last_finished] if last_finished else [])
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched
    first, second = read_history(job.run).attempts
    assert (first.cause, first.told, first.last_step) == ("preemption", "preemption", last_finished)
    assert second.resumed_step == last_finished


def rank_told(job, rank, rendezvous):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    train(replace(job, world=World(rank, 2), rendezvous=rendezvous), ToldIn(step=4), quiet)


def test_of_several_ranks_the_first_saves_and_all_leave(job, untouched, tmp_path):
    ranks = [PROCESSES.Process(target=rank_told, args=(job, rank, tmp_path / "rendezvous")) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [75, 75]
    assert [one.step for one in store.list_committed(job.run)] == [3]
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched


def overtaken_in_the_middle_of_a_step(job):
    def overtaken():
        Ledger.claim(job.run, job.owner)
        for_ever()

    train(job, ToldIn(step=4, meanwhile=overtaken), quiet)


def test_a_process_that_was_overtaken_saves_nothing_and_says_so(job):
    assert exit_code_of(overtaken_in_the_middle_of_a_step, job) == 8
    assert store.list_committed(job.run) == []


def test_a_step_that_ends_in_time_is_finished_and_saved(job):
    """The deadline of a minute lies far behind it."""

    class Patient(ToldIn):
        def request(self, cause, deadline=None):
            super().request(cause, time.monotonic() + 60)

    outcome = train(job, Patient(step=4, meanwhile=lambda: None), quiet)
    assert (outcome.step, outcome.cause) == (4, "preemption")
    assert read_history(job.run).attempts[0].detail == ""


@given(notice=st.integers(0, 10_000), slowest=st.none() | st.integers(0, 10_000))
def test_saving_begins_early_enough_for_two_of_the_slowest_and_not_before_a_quarter_of_the_notice(notice, slowest):
    seconds = seconds_to_save(notice, slowest)
    assert 0 <= seconds <= 0.75 * notice
    if slowest is not None and 2 * slowest + 2 <= 0.75 * notice:
        assert seconds >= 2 * slowest
