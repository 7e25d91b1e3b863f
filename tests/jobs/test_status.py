"""`wavenet status` reads files only, says what a run is doing, and is quick with many runs."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobs.environment import host_name
from jobs.keys.frozen import RunConfig, settle
from jobs.processes import started_tick
from jobs.progress.queue_words import held
from jobs.progress.stage_progress import note_clips
from jobs.progress.standing import RunStatus, look_at
from jobs.progress.status_words import clock, in_words
from jobs.queue.scheduler import QueuedJob
from jobs.queue.submitted import add
from jobs.verbs.status import list_runs
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.history import HistoryWriter

from .conftest import PROGRAM

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NUM_STEPS = 2000


def attempt(
    run: RunPaths, first: int, last: int, cause: str | None, host: str = "here", pid: int = 1, seconds: float = 0.25
) -> None:
    """What an attempt leaves behind that took the steps first+1 ... last and committed the last one."""
    owner = Owner(host, pid, started_tick(pid) or 0)
    ledger = Ledger.claim(run, owner)
    history = HistoryWriter(run, ledger.attempt)
    history.append("start", attempt=ledger.attempt, host=host, pid=pid, resumed_step=first, num_steps=NUM_STEPS)
    for step in range(first + 1, last + 1):
        history.append(
            "step", step=step, loss=3 - step / NUM_STEPS, seconds=seconds, learning_rate=1e-3, gradient_norm=1
        )
    ledger.append("commit", step=last, payload="x", digest="x", bytes=1)
    if cause:
        history.append("end", cause=cause, step=last, detail="")
    history.close()


def begun(folder: Path) -> RunPaths:
    run = RunPaths(folder)
    settle(run, RunConfig("tiny", 0, "data", "abc", ModelConfig(), TrainingConfig(num_steps=NUM_STEPS)), ())
    return run


def test_a_run_tells_its_restarts_and_why(tmp_path: Path) -> None:
    """Cause of each restart, where it went on, and whether it moved to another machine."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 300, "preemption")
    attempt(run, 300, 500, None, host="there")
    attempt(run, 500, NUM_STEPS, "finished", host="there")
    state = look_at(run)
    assert [{key: one[key] for key in one if key != "time"} for one in state.restarts] == [
        {"step": 300, "cause": "preemption", "moved": True, "host": "there"},
        {"step": 500, "cause": "crash", "moved": False, "host": "there"},
    ]
    assert all(datetime.fromisoformat(one["time"]).tzinfo for one in state.restarts)
    assert (state.stage, state.step, state.num_steps, state.loss) == ("trained", NUM_STEPS, NUM_STEPS, 2.0)
    assert in_words(state) == [
        "a: trained, step 2000/2000 (100 %), loss 2.000, 0.250 s/step",
        "    restarts: 1 x preemption (moved), 1 x crash; the last at step 500 on there",
    ]


def test_a_living_owner_is_told_from_a_dead_one(tmp_path: Path) -> None:
    """This process lives; one whose number was used again does not; of another machine's nobody here knows."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, None, host=host_name(), pid=os.getpid())
    state = look_at(run)
    assert (state.stage, state.owner_alive, state.seconds_left) == ("training", True, (NUM_STEPS - 100) * 0.25)
    assert f"process {os.getpid()} on {host_name()}" in in_words(state)[0]
    Ledger.claim(run, Owner(host_name(), os.getpid(), 1))
    assert (look_at(run).stage, look_at(run).owner_alive) == ("interrupted (crash)", False)
    Ledger.claim(run, Owner("elsewhere", 1, 1))
    assert look_at(run).owner_alive is None


@pytest.mark.parametrize("cause", ["time limit", "user", "nan loss"])
def test_a_run_that_stopped_says_why(tmp_path: Path, cause: str) -> None:
    """In the words of its history."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, cause)
    assert look_at(run).stage == f"interrupted ({cause})"


def test_a_damaged_run_hides_no_other(tmp_path: Path, wavenet: Run) -> None:
    """Its problem is told with it."""
    attempt(begun(tmp_path / "runs" / "good"), 0, 10, "user")
    bad = begun(tmp_path / "runs" / "bad")
    bad.config.write_text("a: [")
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "empty").mkdir()
    done = wavenet("status", "--json")
    states = {state["run"]: state for state in json.loads(done.stdout)}
    assert states.keys() == {"good", "bad"}
    assert "config.yaml" in states["bad"]["problem"]
    assert states["good"]["problem"] is None


def test_fifty_runs_cost_less_than_importing_torch(tmp_path: Path, wavenet: Run) -> None:
    """Of the processor's time, and against something of the same machine, so that a busy one does not decide."""
    for number in range(50):
        run = begun(tmp_path / "runs" / f"run {number}")
        attempt(run, 0, 500, "preemption")
        attempt(run, 500, 1000, "user")
    assert len(list_runs(tmp_path / "runs")) == 50
    before = children_seconds()
    done = wavenet("status")
    between = children_seconds()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, timeout=120)
    assert done.stdout.count("1 x preemption") == 50
    assert between - before < children_seconds() - between


def children_seconds() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def job(job_id: str, stage: str, state: str, reason: str = "None", start: str = "N/A") -> QueuedJob:
    """As squeue tells it, of the run a."""
    return QueuedJob(job_id, state, reason, "node7" if state == "RUNNING" else "", f"wavenet-{stage}-a", start)


def submit(run: RunPaths, stage: str, array: int, *tasks: str, done: int = 0) -> Path:
    """What a submission of these tasks leaves in the run's folder, of which the first few are done."""
    folder = run.jobs / f"{stage}-20260101T00000{array}Z"
    folder.mkdir(parents=True)
    for number, task in enumerate(tasks):
        (folder / f"{task}_submitted.pkl").touch()
        if number < done:
            (folder / f"{task}.done").touch()
    add(run.jobs, str(array), f"wavenet-{stage}-a")
    return folder


def test_an_array_tells_what_is_done_and_why_the_rest_is_not(tmp_path: Path) -> None:
    """By markers, logs and the queue; of a task that is running as much as its log says."""
    run = begun(tmp_path / "a")
    folder = submit(run, "generate", 1, "1_0", "1_1", "1_2", "1_3", "1_4", done=1)
    (folder / "1_1_0_restart-0.log").write_text("progress 9 10\n")
    (folder / "1_1_0_restart-1.log").write_text("progress 1 10\nprogress 5 10\n")
    (folder / "1_3.failed").write_text("the file 'x' must be music\n")
    queue = [job("1_1", "generate", "RUNNING"), job("1_2", "generate", "PENDING", "Priority")]
    state = look_at(run, queue)
    assert state.stage == "generating"
    assert in_words(state)[1:] == [
        "    job 1 (wavenet-generate-a): 1 RUNNING, 1 PENDING",
        "    generate: 1 of 5 tasks done, 1 running, 1 waiting, 2 failed, 30 % of the work",
        "      job 1_3 failed: the file 'x' must be music",
        "      job 1_4 failed: it was cancelled, or lost with its node: it is gone from the queue and has said nothing",
    ]


def test_an_array_of_clips_tells_how_many_and_when_they_will_be_done(tmp_path: Path) -> None:
    """From what was done since its first task was: here a task a minute, two at the end of which half is left."""
    run = begun(tmp_path / "a")
    folder = submit(run, "generate", 1, *(f"1_{number}" for number in range(8)), done=4)
    note_clips(folder, [3] * 8)
    now = datetime.now(timezone.utc)
    times = [(now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (3, 2, 1, 0)]
    notes = [f"{time} job 1_{number} restart 0 on node1: done\n" for number, time in enumerate(times)]
    (run.jobs / "decisions.log").write_text("".join(notes))
    queue = [job("1_4", "generate", "RUNNING"), *(job(f"1_{n}", "generate", "PENDING", "Priority") for n in (5, 6))]
    (folder / "1_7.failed").write_text("the disk is full\n")
    state = look_at(run, queue)
    (stage,) = state.stages
    assert stage["clips"] == {"done": 12, "running": 3, "waiting": 6, "failed": 3, "unknown": 0}
    left = (datetime.fromisoformat(stage["expected_end"]) - now).total_seconds()
    assert left == pytest.approx(180, abs=5)
    words = in_words(state, now)
    assert words[2].startswith("    generate: 12 of 24 clips done, 3 running, 6 waiting, 3 failed, 50 % of the work, ")
    assert re.search(r", [23]:\d\d left, until ", words[2])
    assert words[3] == "      job 1_7 failed: the disk is full"


def test_without_an_answer_of_squeue_the_rest_is_told(tmp_path: Path) -> None:
    """What only the queue knows is unknown, not failed."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, "preemption")
    submit(run, "generate", 1, "1_0", "1_1", "1_2", done=1)
    state = look_at(run, None)
    (stage,) = state.stages
    assert (stage["num_done"], stage["num_unknown"], stage["num_failed"]) == (1, 2, 0)
    assert (state.is_queue_known, state.step, state.ended) == (False, 100, None)
    assert "squeue gives no answer" in in_words(state)[-1]


def test_a_chain_tells_its_stages_and_why_it_ended(tmp_path: Path) -> None:
    """The reason is that of the first stage that failed: the others could not begin."""
    run = RunPaths(tmp_path / "a")
    submit(run, "plan", 1, "1", done=1)
    (submit(run, "prepare", 2, "2_0", "2_1", done=1) / "2_1.failed").write_text("the disk is full\n")
    (submit(run, "train", 3, "3") / "3.failed").write_text("the stage prepare did not come to its end\n")
    waiting = look_at(run, [job("2_1", "prepare", "RUNNING"), job("3", "train", "PENDING", "Dependency")])
    assert (waiting.stage, waiting.ended) == ("preparing", None)
    assert [(one["stage"], one["state"]) for one in waiting.stages] == [
        ("plan", "done"),
        ("prepare", "running"),
        ("train", "waiting"),
    ]
    ended = look_at(run, [])
    assert (ended.stage, ended.ended) == ("failed (prepare)", "prepare: the disk is full")
    assert in_words(ended)[-1] == "    ended in prepare: the disk is full"


def test_a_successor_counts_for_the_job_that_it_took_over_from(tmp_path: Path) -> None:
    """It is the same task."""
    run = RunPaths(tmp_path / "a")
    folder = submit(run, "train", 1, "1")
    (folder / "1.successors").write_text("2\n3\n")
    (folder / "3_submitted.pkl").touch()
    add(run.jobs, "3", "wavenet-train-a")
    (stage,) = look_at(run, [job("3", "train", "RUNNING")]).stages
    assert (stage["num_tasks"], stage["num_running"]) == (1, 1)


@pytest.mark.parametrize("has_moved", [True, False])
def test_what_shows_no_progress_for_long_is_told(tmp_path: Path, has_moved: bool) -> None:
    """Since when, and on which host; five minutes are not long for steps of a minute."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, None, host=host_name(), pid=os.getpid())
    moved = datetime.now(timezone.utc)
    late = moved + timedelta(minutes=4 if has_moved else 6)
    state = look_at(run, now=late)
    if has_moved:
        assert state.stalled == []
        return
    (stall,) = state.stalled
    assert (stall["what"], stall["host"]) == ("training", host_name())
    assert abs(datetime.fromisoformat(stall["since"]) - moved) < timedelta(seconds=30)
    assert f"no progress since {clock(stall['since'], late)} on {host_name()}: training" in in_words(state, late)[-1]
    assert look_at(run, now=late, stall_seconds=600).stalled == []


def test_a_step_may_take_its_time(tmp_path: Path) -> None:
    """Ten usual steps without a new one are no stall, however long they are."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, None, host=host_name(), pid=os.getpid(), seconds=60)
    now = datetime.now(timezone.utc)
    assert look_at(run, now=now + timedelta(minutes=9)).stalled == []
    assert look_at(run, now=now + timedelta(minutes=11)).stalled != []


def test_a_task_whose_log_does_not_grow_is_told(tmp_path: Path) -> None:
    """The others are not."""
    run = RunPaths(tmp_path / "a")
    folder = submit(run, "generate", 1, "1_0", "1_1")
    now = datetime.now(timezone.utc)
    for task, minutes in (("1_0", 20), ("1_1", 1)):
        log = folder / f"{task}_0_restart-0.log"
        log.touch()
        written = (now - timedelta(minutes=minutes)).timestamp()
        os.utime(log, (written, written))
    start = (now - timedelta(hours=1)).astimezone().replace(tzinfo=None).isoformat(timespec="seconds")
    queue = [job("1_0", "generate", "RUNNING", start=start), job("1_1", "generate", "RUNNING", start=start)]
    (stall,) = look_at(run, queue).stalled
    assert (stall["what"], stall["host"]) == ("generate (job 1_0)", "node7")


@pytest.mark.parametrize(
    ("state", "reason", "remedy"),
    [
        ("PENDING", "JobHeldUser", "scontrol release 1"),
        ("PENDING", "launch failed requeued held", "scontrol release 1"),
        ("REQUEUE_HOLD", "None", "scontrol release 1"),
        ("PENDING", "JobHeldAdmin", "scontrol release 1; if that is refused, ask the administrators, who hold it"),
        ("PENDING", "DependencyNeverSatisfied", "the job before it has failed; scancel 1"),
        (
            "REQUEUE_HOLD",
            "JobHoldMaxRequeue",
            "it lost its node more often than Slurm puts a job back: scontrol release 1; if that is refused, cancel it "
            "and start it again, which goes on from its newest checkpoint",
        ),
    ],
)
def test_a_job_that_will_not_start_by_itself_comes_with_its_remedy(state: str, reason: str, remedy: str) -> None:
    """A whole array that is held is one job."""
    jobs = [job("1_0", "generate", state, reason), job("1_1", "generate", state, reason)]
    assert held(jobs) == [{"job_id": "1", "reason": reason, "remedy": remedy}]


@pytest.mark.parametrize("reason", ["Priority", "Resources", "BeginTime", "Dependency", "QOSMaxJobsPerUserLimit"])
def test_a_job_that_only_waits_is_not_held(reason: str, tmp_path: Path) -> None:
    """Slurm's word for why is followed by plain words, and by when it is expected to start."""
    run = RunPaths(tmp_path / "a")
    submit(run, "train", 1, "1")
    start = (datetime.now() + timedelta(days=30)).isoformat(timespec="seconds")
    state = look_at(run, [job("1", "train", "PENDING", reason, start)])
    assert (state.stage, state.held) == ("queued", [])
    line = in_words(state)[1]
    assert line.startswith(f"    job 1 (wavenet-train-a) is PENDING ({reason}): ")
    assert line.endswith(f", expected to start {start[:10]} {start[11:16]}")


def test_a_job_that_has_just_started_again_is_not_training_yet(tmp_path: Path) -> None:
    """The attempt of its former start, which was killed and has left no end, is not the present one."""
    run = begun(tmp_path / "a")
    owner = Owner("node7", 1, 1, "1")
    ledger = Ledger.claim(run, owner)
    history = HistoryWriter(run, ledger.attempt)
    history.append("start", attempt=1, host="node7", pid=1, job_id="1", resumed_step=0, num_steps=NUM_STEPS)
    history.close()
    submit(run, "train", 1, "1")
    now = datetime.now()
    for minutes, stage in ((-5, "training"), (5, "starting")):
        start = (now + timedelta(minutes=minutes)).isoformat(timespec="seconds")
        assert look_at(run, [job("1", "train", "RUNNING", start=start)]).stage == stage


def test_the_end_is_told_as_a_clock_time(tmp_path: Path) -> None:
    """With as much of the date as is needed."""
    run = begun(tmp_path / "a")
    attempt(run, 0, 100, None, host=host_name(), pid=os.getpid())
    now = datetime.now(timezone.utc)
    state = look_at(run, now=now)
    assert datetime.fromisoformat(state.expected_end) - now < timedelta(seconds=(NUM_STEPS - 100) * 0.25)
    assert f"7:55 left, until {clock(state.expected_end, now)}" in in_words(state, now)[0]
    noon = datetime(2026, 11, 2, 12, tzinfo=timezone.utc).astimezone()
    assert clock(noon.isoformat(), noon) == f"{noon:%H:%M}"
    assert clock(noon.isoformat(), noon + timedelta(days=2)) == f"Mon {noon:%H:%M}"
    assert clock(noon.isoformat(), noon + timedelta(days=20)) == f"2026-11-02 {noon:%H:%M}"


def test_what_json_gives_is_what_is_documented(tmp_path: Path, wavenet: Run) -> None:
    """Every field, and no other, of every run; a folder that jobs prepare is an object of its own."""
    attempt(begun(tmp_path / "runs" / "a"), 0, 10, "user")
    submit(RunPaths(tmp_path / "data"), "prepare", 1, "1_0", "1_1", done=2)
    run, data = json.loads(wavenet("status", "--json").stdout)
    assert run.keys() == {field.name for field in fields(RunStatus)}
    assert data["data"] == "data"
    assert [stage["stage"] for stage in data["stages"]] == ["prepare"]


def test_watching_prints_news_until_ctrl_c(tmp_path: Path, environment: dict[str, str]) -> None:
    """Into a pipe plain lines, and only when they have changed."""
    run = begun(tmp_path / "runs" / "a")
    attempt(run, 0, 10, "user")
    with watching(tmp_path, environment, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout.readline().startswith("a: interrupted (user), step 10/2000")
        attempt(run, 10, 20, "user")
        while not (line := watcher.stdout.readline()).startswith("a: interrupted (user), step 20/2000"):
            assert line.startswith("    ")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(60) == 0
        assert "\x1b" not in watcher.stdout.read()


def test_watching_redraws_on_a_terminal(tmp_path: Path, environment: dict[str, str]) -> None:
    """In place: it goes up as many lines as it has printed, and clears them."""
    attempt(begun(tmp_path / "runs" / "a"), 0, 10, "user")
    terminal, inside = pty.openpty()
    screen = os.fdopen(terminal, "rb", buffering=0)
    with screen, watching(tmp_path, environment, stdout=inside) as watcher:
        os.close(inside)
        shown = b""
        while b"\x1b[2F\x1b[J" not in shown:
            shown += screen.read(1024)
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(60) == 0
    assert b"until Ctrl-C\r\na: interrupted (user)" in shown


@contextmanager
def watching(place: Path, environment: dict[str, str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    command = [PROGRAM, "status", "--watch", "every_seconds=0.1"]
    with subprocess.Popen(command, cwd=place, env=environment, **streams) as watcher:
        try:
            yield watcher
        finally:
            watcher.kill()


def test_no_runs_is_an_answer(wavenet: Run) -> None:
    """With what to do next."""
    done = wavenet("status")
    assert (done.returncode, done.stdout) == (0, "no runs in runs; `wavenet train run=NAME` starts one\n")
