"""A real signal, twice within a millisecond, at any moment of a training: all is saved, and it goes on bitwise."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import pytest

from jobs.queue.causes import GUESSES
from jobs.queue.deadlines import Notice
from jobs.work import tasks
from jobs.work.slurm_tasks import exit_code
from wavenet.checkpoint import state
from wavenet.run_paths import RunPaths
from wavenet.training import loop
from wavenet.training.history import read_history
from wavenet.training.loop import train
from wavenet.training.recorder import Recorder
from wavenet.training.stopping import StopRequest

from .conftest import small_job

# Processes forked from a server that has imported torch once: real processes without its seconds of start-up each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["jobs.work.tasks", "wavenet.training.loop"])
PATIENCE = 300  # seconds that a process is given to end by itself

MOMENTS = {
    "start-up": (loop, "open_dataset"),
    "validation": (loop, "validate"),
    "checkpointing": (state, "write_checkpoint"),
    "shutdown": (Recorder, "end"),
}


def quiet(line):
    """A log that nobody reads."""


def train_told(job, moment, number):
    """The task that a job runs; at the first such moment it is sent the signal before and after what is done then."""
    place, name = MOMENTS[moment]
    original, is_sent = getattr(place, name), []

    def told(*arguments, **named):
        if not is_sent:
            is_sent.append(True)
            twice(number)
            try:
                return original(*arguments, **named)
            finally:
                twice(number)
        return original(*arguments, **named)

    setattr(place, name, told)
    order = tasks.TrainOrder(
        job.run,
        job.data,
        job.model,
        job.training,
        job.seed,
        (),
        0,
        job.run.root / "rendezvous",
        False,
        Notice(600, 600),
    )
    if moment == "shutdown":
        # What ends is a training that was stopped: one that is finished has nothing to save.
        twice_at_the_first_validation(number)
    sys.exit(exit_code(tasks.train(order)))


def twice(number):
    for _ in range(2):
        os.kill(os.getpid(), number)


def twice_at_the_first_validation(number):
    validate = loop.validate

    def told(*arguments):
        twice(number)
        return validate(*arguments)

    loop.validate = told


def bits(run):
    return {path.name: path.read_bytes() for path in run.checkpoint(8).iterdir()}


def losses(run):
    history = read_history(run)
    return [row.loss for row in history.steps], [(row.step, row.loss, row.per_class) for row in history.validations]


@pytest.fixture(scope="module")
def untouched(data, tmp_path_factory):
    run = RunPaths(tmp_path_factory.mktemp("untouched") / "run")
    assert train(small_job(data, run), StopRequest(), quiet).is_finished
    return run


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2], ids=lambda number: number.name)
def test_a_signal_at_any_moment_is_a_stop_that_changes_nothing(job, untouched, moment, number):
    """Weights, steps and validations are in the end those of an untouched run; no finished step is lost."""
    process = PROCESSES.Process(target=train_told, args=(job, moment, number))
    process.start()
    process.join(timeout=PATIENCE)
    assert process.exitcode == 75
    assert train(job, StopRequest(), quiet).is_finished
    first, second = read_history(job.run).attempts
    assert (first.cause, first.told) == (GUESSES[number], GUESSES[number])
    assert first.last_step == second.resumed_step > 0
    assert bits(job.run) == bits(untouched)
    assert losses(job.run) == losses(untouched)
