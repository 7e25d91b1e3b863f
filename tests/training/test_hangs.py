"""A process that hangs writes down where, ends in a way that is tried again, and the run ends with the same bits."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.checkpoint import store
from wavenet.run_paths import RunPaths
from wavenet.training import loop, rank_ends
from wavenet.training.history import read_history
from wavenet.training.loop import train
from wavenet.training.rank_ends import RankEnd
from wavenet.training.sentinel import MemoryGroup, Silence
from wavenet.training.stopping import StopRequest
from wavenet.world import World

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wavenet.training.loop"])
SECONDS = 2.0  # of silence; a busy machine takes a part of them for a step


def quiet(line):
    """A log that nobody reads."""


def hanging_with_the_interpreters_lock():
    """As a library does that never gives it back: no thread of Python's runs any more."""
    library = ctypes.PyDLL(None)
    while True:  # a signal ends the sleep
        library.sleep(10_000)


def hanging_in_python():
    threading.Event().wait()


class Hanging(StopRequest):
    """Comes to nothing in the middle of step number ``step``."""

    def __init__(self, step, hang):
        super().__init__()
        self._steps_left, self._hang = step, hang

    def poll(self):
        self._steps_left -= 1
        if self._steps_left == 0:
            self._hang()
        return self.cause


def in_a_step(job):
    train(job, Hanging(4, hanging_in_python), quiet)


def in_a_library(job):
    train(job, Hanging(4, hanging_with_the_interpreters_lock), quiet)


def in_a_read(job):
    """Batch number 3, of step 4, never comes; it is read ahead when step 1 is done."""
    read = loop._Batches.__call__

    def slow(batches, position):
        return hanging_with_the_interpreters_lock() if position == 3 else read(batches, position)

    loop._Batches.__call__ = slow
    train(job, StopRequest(), quiet)


def in_a_commit(job):
    """The one that is due after step 4."""
    store.commit = lambda *_: hanging_in_python()
    train(job, StopRequest(), quiet)


def run_process(function, *arguments):
    process = PROCESSES.Process(target=function, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode


@pytest.fixture
def watched(job, changed):
    return changed(job, hang_seconds=SECONDS)


@pytest.mark.parametrize(
    ("hang", "where"),
    [
        (in_a_step, "hanging_in_python"),
        (in_a_library, "hanging_with_the_interpreters_lock"),
        (in_a_read, "hanging_with_the_interpreters_lock"),
        (in_a_commit, "hanging_in_python"),
    ],
)
def test_a_hang_is_written_down_and_ends_the_attempt(job, watched, tmp_path, hang, where):
    """Wherever it is, the history says so and names the file with the stacks; nothing that was saved is lost."""
    assert run_process(hang, watched) == -signal.SIGKILL
    (attempt,) = read_history(watched.run).attempts
    stacks = watched.run.stacks(1, 0)
    assert attempt.cause == "hang"
    assert str(stacks) in attempt.detail
    assert f"in {where}" in stacks.read_text("utf-8")
    assert "_watch" in stacks.read_text("utf-8"), "the stacks of the other threads as well"
    assert train(job, StopRequest(), quiet).is_finished
    untouched = replace(job, run=RunPaths(tmp_path / "untouched"))
    assert train(untouched, StopRequest(), quiet).is_finished
    assert bits(job.run) == bits(untouched.run)


def bits(run):
    return {path.name: path.read_bytes() for path in run.checkpoint(8).iterdir()}


def rank(job, rank, rendezvous, stop):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    train(replace(job, world=World(rank, 2), rendezvous=rendezvous), stop(), quiet)


def never_hanging():
    return StopRequest()


def hanging_at_step_4():
    return Hanging(4, hanging_with_the_interpreters_lock)


def killed_at_step_4():
    return Hanging(4, lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.parametrize(("fault", "cause"), [(hanging_at_step_4, "hang"), (killed_at_step_4, "crash")])
def test_of_several_ranks_the_one_that_fails_is_named_and_the_first_saves(job, watched, tmp_path, fault, cause):
    """Whoever waits for it does not hang; it saves the last finished step."""
    ranks = [
        PROCESSES.Process(target=rank, args=(one, number, tmp_path / "rendezvous", stop))
        for number, (one, stop) in enumerate([(job, never_hanging), (watched, fault)])
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [1, -signal.SIGKILL]
    assert [one.step for one in store.list_committed(watched.run)] == [3]
    (attempt,) = read_history(watched.run).attempts
    assert (attempt.cause, attempt.last_step) == (cause, 3)
    assert watched.run.stacks(1, 1).exists() == (cause == "hang")
    assert not watched.run.stacks(1, 0).exists()


def without_memory(job):
    def greedy():
        raise MemoryError

    train(job, Hanging(2, greedy), quiet)


def test_memory_that_runs_out_is_named_with_what_to_change(watched):
    """Under its own exit code, which is tried again."""
    assert run_process(without_memory, watched) == 1  # of an exception that leaves a process of this module
    (attempt,) = read_history(watched.run).attempts
    assert attempt.cause == "out of memory"
    assert "MiB" in attempt.detail
    assert "training.recompute=true" in attempt.detail


@given(st.lists(st.tuples(st.floats(0.01, 1e6), st.booleans(), st.booleans()), max_size=30))
def test_silence_is_counted_only_while_both_processes_can_run(looks):
    """A machine that sleeps makes one long gap; a process that is suspended makes none that counts."""
    silence, now, most = Silence(0.0), 0.0, 0.0
    for count, (gap, is_suspended, is_alive) in enumerate(looks):
        now += gap
        seconds = silence.look(now, count if is_alive else -1, is_suspended=is_suspended, tick=1.0)
        most = 0.0 if is_alive else most + (0.0 if is_suspended else 2.0)
        assert 0.0 <= seconds <= most + 2.0


def test_silence_goes_on_growing():
    """Look after look, without a sign of life."""
    silence = Silence(0.0)
    seconds = [silence.look(float(now), 7, is_suspended=False, tick=1.0) for now in range(1, 6)]
    assert seconds == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {
                "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n",
                "memory.max_usage_in_bytes": "104857600\n",
                "memory.stat": "cache 1\nhierarchical_memory_limit 209715200\n",
            },
            "used 100 MiB of 200 MiB",
        ),
        (
            {"memory.events": "oom 1\noom_kill {kills}\n", "memory.peak": "104857600\n", "memory.max": "209715200\n"},
            "used 100 MiB of 200 MiB",
        ),
        ({"memory.events": "oom_kill {kills}\n", "memory.peak": "104857600\n", "memory.max": "max\n"}, "used 100 MiB"),
        ({"memory.oom_control": "oom_kill {kills}\n"}, ""),
    ],
)
def test_a_control_group_of_either_version_tells_of_a_kill_for_memory(tmp_path, files, words):
    """And of what was used, of how much, where it says so."""

    def kills(number):
        for name, text in files.items():
            (tmp_path / name).write_text(text.replace("{kills}", str(number)), "utf-8")

    kills(3)
    group = MemoryGroup(os.getpid(), tmp_path)
    assert not group.has_killed()
    kills(4)
    assert group.has_killed()
    assert group.in_words() == words


def test_the_end_of_a_rank_is_found_even_half_written_by_another(job):
    """A file that cannot be read is no reason."""
    job.run.history.mkdir(parents=True)
    job.run.rank_end(2, 1).write_text('{"cause": "ha', "utf-8")
    assert rank_ends.find(job.run, 2, patience=0.0) is None
    end = RankEnd("hang", "no step", "n7")
    rank_ends.leave(job.run, 2, 3, end)
    assert rank_ends.find(job.run, 2, patience=0.0) == end
