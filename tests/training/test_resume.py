"""A run that was stopped, killed or split over processes ends with the bits of a run that was never touched."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.errors import FencedError, InputError, LostRankError, MismatchError, NumericsError, StorageError
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history
from wavenet.training.job import Outcome
from wavenet.training.loop import train
from wavenet.training.stopping import StopRequest
from wavenet.world import World

# Processes forked from a server that has imported torch once: real processes without its seconds of start-up each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wavenet.training.loop"])


def quiet(line):
    """A log that nobody reads."""


class StopAfter(StopRequest):
    """Asks for a stop during step number ``step``."""

    def __init__(self, step):
        super().__init__()
        self._steps_left = step

    def poll(self):
        self._steps_left -= 1
        return "preemption" if self._steps_left == 0 else None


def bits(run, step=8):
    """Every byte of a checkpoint's files, checkpoint.json included."""
    return {path.name: path.read_bytes() for path in run.checkpoint(step).iterdir()}


@pytest.fixture
def untouched(job, tmp_path):
    """The last checkpoint of a run that nothing interrupted."""
    run = RunPaths(tmp_path / "untouched")
    assert train(replace(job, run=run), StopRequest(), quiet) == Outcome(True, "finished", 8)
    return bits(run)


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_a_run_stopped_at_any_step_ends_with_the_same_bits(job, untouched, step):
    assert train(job, StopAfter(step), quiet) == Outcome(False, "preemption", step)
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched


def test_a_run_stopped_after_every_step_ends_with_the_same_bits(job, untouched):
    for step in range(1, 8):
        assert train(job, StopAfter(1), quiet).step == step
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched


def test_a_stop_during_the_last_step_is_a_finished_run(job, untouched):
    assert train(job, StopAfter(8), quiet) == Outcome(True, "finished", 8)
    assert bits(job.run) == untouched


def test_a_finished_run_trained_again_changes_no_checkpoint(job, untouched):
    train(job, StopRequest(), quiet)
    assert train(job, StopRequest(), quiet) == Outcome(True, "finished", 8)
    assert bits(job.run) == untouched


def die_at(job, step):
    """In a process of its own: train, and be killed by the kernel in the middle of step number ``step``."""

    class Deadly(StopRequest):
        steps_left = step

        def poll(self):
            self.steps_left -= 1
            if self.steps_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    train(job, Deadly(), quiet)


@pytest.mark.parametrize("step", [2, 6])
def test_a_run_killed_in_the_middle_of_a_step_ends_with_the_same_bits(job, untouched, step):
    process = PROCESSES.Process(target=die_at, args=(job, step))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched
    attempts = read_history(job.run).attempts
    assert [row.cause for row in attempts] == ["crash", "finished"]
    assert attempts[1].resumed_step == (0 if step == 2 else 4)


def train_as_rank(job, rank, size, rendezvous, stop_after):
    stop = StopAfter(stop_after) if stop_after and rank == size - 1 else StopRequest()
    train(replace(job, world=World(rank, size), rendezvous=rendezvous), stop, quiet)


def train_together(job, size, rendezvous, stop_after=0):
    ranks = [
        PROCESSES.Process(target=train_as_rank, args=(job, rank, size, rendezvous, stop_after)) for rank in range(size)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [0] * size


@pytest.mark.parametrize("size", [2, 4])
def test_any_number_of_processes_ends_with_the_same_bits(job, untouched, tmp_path, size):
    train_together(job, size, tmp_path / "rendezvous")
    assert bits(job.run) == untouched


def test_two_processes_stopped_by_one_of_them_and_finished_by_one_end_with_the_same_bits(job, untouched, tmp_path):
    train_together(job, 2, tmp_path / "rendezvous", stop_after=3)
    assert [checkpoint.step for checkpoint in store.list_committed(job.run)] == [3]
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched


def test_recomputing_layers_changes_no_bit(job, untouched, changed):
    assert train(changed(job, recompute=True), StopRequest(), quiet).is_finished
    assert bits(job.run) == untouched


def alter(path, group, name):
    """Change one number of a committed checkpoint by a thousandth, and its digests, so that it counts as sound.

    By a thousandth, because the last bit alone may rightly be rounded away in the steps that follow.
    """
    facts = state.read_facts(path)
    groups = [file.removesuffix(".safetensors") for file in facts["files"]]
    arrays = {one: state.read_arrays(path, one) for one in groups}
    array = arrays[group][name]
    array[np.argmax(np.abs(array))] *= np.float32(1.001)
    shutil.rmtree(path)
    return state.write_checkpoint(path, facts, arrays)


@pytest.mark.parametrize(("group", "name"), [("optimizer", "first_moment"), ("optimizer", "second_moment")])
def test_the_comparison_fails_when_one_number_of_one_moment_is_altered(job, untouched, group, name):
    train(job, StopAfter(3), quiet)
    digest = alter(job.run.checkpoint(3), group, name)
    entry = job.run.ledger_entry(2)
    entry.write_text(re.sub(r'"digest": "\w+"', f'"digest": "{digest}"', entry.read_text()))
    assert train(job, StopRequest(), quiet).is_finished
    assert read_history(job.run).attempts[1].resumed_step == 3
    assert bits(job.run) != untouched


def test_the_comparison_fails_when_one_draw_is_altered(job, untouched, monkeypatch):
    from wavenet.batches.order import Window, WindowOrder

    train(job, StopAfter(3), quiet)
    draw = WindowOrder.window

    def another(order, index):
        window = draw(order, index)
        return Window(window.clip, window.first_target + 1) if index == 5 * 4 else window

    monkeypatch.setattr(WindowOrder, "window", another)
    assert train(job, StopRequest(), quiet).is_finished
    assert bits(job.run) != untouched


def test_an_attempt_overtaken_while_it_trains_is_fenced_at_its_next_commit(job):
    class Overtaken(StopRequest):
        steps_left = 3

        def poll(self):
            self.steps_left -= 1
            if self.steps_left == 0:
                Ledger.claim(job.run, job.owner)

    with pytest.raises(FencedError, match="overtaken"):
        train(job, Overtaken(), quiet)
    assert store.list_committed(job.run) == []
    assert list(job.run.checkpoints.iterdir()) == []


def test_another_identity_is_refused_and_leaves_the_run_as_it_was(job, changed):
    train(job, StopAfter(2), quiet)
    before = sorted(path.name for path in job.run.ledger.iterdir())
    with pytest.raises(MismatchError, match=r"training\.learning_rate was 0\.001 and is 0\.002"):
        train(changed(job, learning_rate=2e-3), StopRequest(), quiet)
    assert sorted(path.name for path in job.run.ledger.iterdir()) == before


def test_an_accepted_identity_goes_on_and_is_noted(job, changed):
    train(job, StopAfter(2), quiet)
    accepted = replace(changed(job, learning_rate=2e-3), accept=("training.learning_rate",))
    assert train(accepted, StopRequest(), quiet).is_finished
    assert read_history(job.run).attempts[1].accepted == ["training.learning_rate"]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_last_good_checkpoint(job, changed):
    train(job, StopAfter(2), quiet)
    wild = replace(changed(job, learning_rate=1e30, gradient_clip=0.0), accept=("training.learning_rate",))
    wild = replace(wild, accept=("training.learning_rate", "training.gradient_clip"))
    with pytest.raises(NumericsError, match=r"the loss must be a finite number, got nan|inf"):
        train(wild, StopRequest(), quiet)
    assert store.list_committed(job.run)[0].step == 2
    state.verify(job.run.checkpoint(2))
    assert read_history(job.run).attempts[-1].cause == "nan loss"


def test_weights_without_the_optimisers_memory_cannot_be_trained_on(job):
    train(job, StopAfter(2), quiet)
    path = job.run.checkpoint(2)
    facts, weights = state.read_facts(path), state.read_arrays(path, "weights")
    ledger = Ledger.claim(job.run, job.owner)
    store.commit(job.run, ledger, {**facts, "step": 3}, {"weights": weights})
    with pytest.raises(InputError, match="holds weights alone"):
        train(job, StopRequest(), quiet)


def test_ranks_end_when_the_first_one_cannot_begin(job, changed, tmp_path):
    """Rank 1 must not wait for a checkpoint that rank 0 will never name."""
    train(job, StopAfter(2), quiet)
    refused = changed(job, learning_rate=2e-3)
    ranks = [PROCESSES.Process(target=refused_rank, args=(refused, rank, tmp_path / "rendezvous")) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=60)
    assert [process.exitcode for process in ranks] == [4, 1], "srun ends with the highest of them: the reason"


def refused_rank(job, rank, rendezvous):
    try:
        train(replace(job, world=World(rank, 2), rendezvous=rendezvous), StopRequest(), quiet)
    except (MismatchError, LostRankError) as error:
        sys.exit(error.exit_code)


def test_the_log_and_the_history_are_read_by_the_class_projects_script(job):
    lines = []
    train(job, StopRequest(), lines.append)
    pattern = re.compile(r"step [0-9]+ - loss = [0-9]+.[0-9]*, \([0-9]+.[0-9]* sec\/step\)")
    numbers = re.compile(r"[0-9]+\.?[0-9]*")
    steps = [int(numbers.findall(line)[0]) for line in lines if pattern.match(line) and len(numbers.findall(line)) == 3]
    assert steps == [2, 4, 6, 8]


def test_history_and_status_need_no_torch():
    script = "import sys, wavenet.training.history, wavenet.checkpoint.store; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)


def test_checkpoints_that_would_not_fit_are_refused_before_the_first_step(job, small_disk):
    crowded = replace(job, run=RunPaths(small_disk / "run"))
    with pytest.raises(StorageError, match=r"the checkpoints to come need [\d,]+ bytes .* free, too few bytes"):
        train(crowded, StopRequest(), quiet)
    assert read_history(crowded.run).steps == []
    modest = replace(crowded.training, keep_newest=1, spread_checkpoints=0, checkpoint_steps=())
    assert train(replace(crowded, training=modest), StopRequest(), quiet).is_finished
