"""`wavenet train`, as real processes: interrupted in every way, refused, given up, and equal in the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.environment import Placement, host_name
from jobs.keys.compose import compose_for_run
from jobs.processes import started_tick
from jobs.terminal import STEP_LINE, Display
from jobs.verbs.demo import Interrupter
from jobs.verbs.train import TrainKeys, train
from jobs.work.local import LocalJob
from jobs.work.ownership import launching, require_free, require_takeover
from jobs.work.supervise import Watch, nobody
from tests.small import SMALL
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.checkpoint.store import list_committed
from wavenet.errors import BusyError, HoursUsedError, InterruptedRunError, NumericsError, StageFailedError
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history
from wavenet.world import World

NUM_STEPS = 400
# The class project's own expressions, which read the log of days of training.
STEP_PATTERN = re.compile(r"step [0-9]+ - loss = [0-9]+.[0-9]*, \([0-9]+.[0-9]* sec\/step\)")
NUMBER_PATTERN = re.compile(r"[0-9]+\.?[0-9]*")
RESTART_PATTERN = "Restarting the service at"

TINY = ["cluster=local", "cluster.restart_pause_seconds=0.1", f"training.num_steps={NUM_STEPS}", *SMALL]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("all runs")


def start(root: Path, data: Path, name: str, *words: str, watch: Watch = nobody, first: bool = True) -> RunPaths:
    """`wavenet train` in this process, so that a test sees the log as it grows."""
    typed = [f"run={root / name}", *([f"data={data}", *TINY] if first else ["cluster=local"]), *words]
    train(compose_for_run("train", TrainKeys, typed), watch)
    return RunPaths(root / name)


@pytest.fixture(scope="module")
def untouched(root: Path, data: Path) -> RunPaths:
    """A run that nothing ever happened to."""
    return start(root, data, "untouched")


def press_ctrl_c_at(step: int) -> Watch:
    pressed = []

    def watch(line: str, job: LocalJob) -> None:
        match = STEP_LINE.match(line)
        if match and int(match[1]) >= step and not pressed:
            pressed.append(step)
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def last_files(run: RunPaths) -> dict[str, bytes]:
    """Weights, averages and the optimiser's moments of the newest checkpoint."""
    folder = list_committed(run)[-1].path
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


@pytest.mark.timeout(600)
def test_interrupted_in_every_way_it_ends_with_the_same_bytes(
    root: Path, data: Path, untouched: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes, SIGTERM, SIGKILL, Ctrl-C and the same command again: weights, averages and moments are equal."""
    interrupter = Interrupter([(100, signal.SIGTERM), (200, signal.SIGKILL)], Display())
    ctrl_c = press_ctrl_c_at(300)

    def watch(line: str, job: LocalJob) -> None:
        interrupter(line, job)
        ctrl_c(line, job)

    with pytest.raises(InterruptedRunError, match=r"stopped; step \d+ of the run 'hurt' is saved, and `wavenet train"):
        start(root, data, "hurt", "training.processes=2", watch=watch)
    run = start(root, data, "hurt", first=False)
    assert last_files(run) == last_files(untouched)
    attempts = read_history(run).attempts
    assert [attempt.cause for attempt in attempts] == ["preemption", "crash", "user", "finished"]
    assert [attempt.restart_count for attempt in attempts] == [0, 1, 2, 0]

    shown = capsys.readouterr().out.splitlines()
    steps = [line for line in shown if STEP_PATTERN.match(line) and len(NUMBER_PATTERN.findall(line)) == 3]
    assert steps[-1].startswith(f"step {NUM_STEPS} - loss = ")
    assert sum(line.startswith(RESTART_PATTERN) for line in shown) == 2
    assert list(run.jobs.rglob("*.pkl")) == []


def test_a_finished_run_is_finished(
    root: Path, data: Path, untouched: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again starts nothing."""
    start(root, data, "untouched", first=False)
    assert capsys.readouterr().out.startswith(f"the run 'untouched' is finished: step {NUM_STEPS} is in ")
    assert len(read_history(untouched).attempts) == 1


def test_a_run_that_is_watched_cannot_be_started_again(
    untouched: RunPaths, wavenet: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Not even between two attempts; the sentence says who is at it, and nothing changes."""
    before = {path: path.stat().st_mtime_ns for path in untouched.root.rglob("*") if path.name != "launcher.lock"}
    with launching(untouched):
        done = wavenet("train", f"run={untouched.root}", "cluster=local")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert f"is already running, watched by process {os.getpid()} on {host_name()}" in done.stderr
    after = {path: path.stat().st_mtime_ns for path in untouched.root.rglob("*") if path.name != "launcher.lock"}
    assert after == before


def test_a_run_with_a_living_owner_cannot_be_started_again(root: Path, data: Path) -> None:
    """The owner is this process: its number and the moment it started are both right. A number used again is not."""
    run = RunPaths(root / "owned")
    tick = started_tick(os.getpid())
    assert tick is not None
    Ledger.claim(run, Owner(host_name(), os.getpid(), tick))
    with pytest.raises(BusyError, match=rf"already running as process {os.getpid()} on {host_name()}"):
        start(root, data, "owned", "takeover=true")
    Ledger.claim(run, Owner(host_name(), os.getpid(), tick - 1))
    require_free(run, takeover=False)


def test_a_run_of_another_machine_is_taken_over_by_name_only(root: Path, data: Path) -> None:
    """Only that machine could tell whether its process lives."""
    run = RunPaths(root / "far")
    Ledger.claim(run, Owner("elsewhere", 1, 1))
    with pytest.raises(BusyError, match=r"last started on elsewhere .* go on with takeover=true"):
        start(root, data, "far")
    require_free(run, takeover=True)


def test_of_several_processes_the_first_decides_where_slurm_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On other nodes than its own a container may hear nothing, and a job that takes over from another still starts."""
    monkeypatch.setenv("WAVENET_QUESTIONS", str(tmp_path))
    os.mkfifo(tmp_path / "bell")
    run = RunPaths(tmp_path / "run")
    Ledger.claim(run, Owner("elsewhere", 1, 1, "7"))
    with pytest.raises(BusyError, match=r"squeue does not say"):
        require_takeover(run, Placement("8", 0, World(0, 2)), takeover=False)
    require_takeover(run, Placement("8", 0, World(1, 2)), takeover=False)


def test_a_loss_that_is_no_number_is_not_tried_again(root: Path, data: Path) -> None:
    """It would come again."""
    words = ["training.learning_rate=1e30", "training.gradient_clip=0", "training.schedule=constant"]
    with pytest.raises(NumericsError):
        start(root, data, "nan", *words)
    assert [attempt.cause for attempt in read_history(RunPaths(root / "nan")).attempts] == ["nan loss"]


@pytest.mark.timeout(600)
def test_restarts_without_progress_come_to_an_end(root: Path, data: Path) -> None:
    """A process that is killed before its first checkpoint every time is given up."""

    def kill(line: str, job: LocalJob) -> None:
        job.send(signal.SIGKILL)

    with pytest.raises(StageFailedError, match=r"ended 2 times in a row without a new checkpoint, .* was killed"):
        start(root, data, "hopeless", "cluster.idle_restarts=1", watch=kill)


@pytest.mark.timeout(600)
def test_hours_that_are_used_up_are_the_end_and_more_go_on(root: Path, data: Path, untouched: RunPaths) -> None:
    """Saved, not started again, refused at once while no more are given, and equal in the end."""
    for _ in range(2):
        with pytest.raises(HoursUsedError, match=r"training\.max_hours=0\.0001 together, and have; step 1 is saved"):
            start(root, data, "hours", "training.max_hours=0.0001")
    run = start(root, data, "hours", "training.max_hours=9", first=False)
    assert [attempt.cause for attempt in read_history(run).attempts] == ["hours used up", "finished"]
    assert last_files(run) == last_files(untouched)


def test_a_folder_that_cannot_be_written_is_one_sentence(
    data: Path, tmp_path: Path, wavenet: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A run below a file is impossible for root too."""
    (tmp_path / "file").touch()
    done = wavenet("train", "run=file/run", f"data={data}", "cluster=local")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "file" in done.stderr


def test_a_run_whose_checkpoints_would_not_fit_is_refused_before_anything_starts(
    data: Path, small_disk: Path, wavenet: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The sentence says what is needed and what is free."""
    run = RunPaths(small_disk / "run")
    done = wavenet("train", f"run={run.root}", f"data={data}", "cluster=local")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert re.search(r"the checkpoints to come need [\d,]+ bytes in \d+ files .* free, too few bytes", done.stderr)
    assert not run.history.exists()
    assert list(run.checkpoints.iterdir()) == []
