"""`wavenet logs` prints the present attempt's log, goes over to the next one's, and ends when the run is over."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.keys.compose import compose_for_run
from jobs.progress.log_files import list_logs, present
from jobs.verbs.train import TrainKeys, train
from jobs.work.local import LocalJob
from tests.small import SMALL
from wavenet.run_paths import RunPaths

from .conftest import PROGRAM

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def log(run: RunPaths, folder: str, name: str, text: str, age: int = 0) -> Path:
    """A log that was written so many seconds before the newest."""
    path = run.jobs / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    """A run whose jobs are all over."""
    run = RunPaths(tmp_path / "runs" / "a")
    train, generate = "train-20260101T000000Z", "generate-20260101T000000Z"
    log(run, train, "7_0_restart-0.log", "attempt 1\n", age=9)
    log(run, train, "7_0_restart-1.log", "attempt 2\nstep 1\nstep 2\n", age=8)
    log(run, train, "7_1_restart-1.log", "rank 1\n", age=8)
    log(run, train, "7_0_log.out", "slurmstepd: killed\n", age=8)
    log(run, generate, "8_0_0_restart-0.log", "cut short\n", age=5)
    log(run, generate, "8_0_0_restart-1.log", "progress 1 4\nprogress 4 4\n", age=2)
    log(run, generate, "8_1_0_restart-0.log", "wavenet: no room\n", age=1)
    return run


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            [],
            ["generate 8_0: 4/4 (100 %)", "==> generate/8_1_0_restart-0.log", "no room"],
        ),
        (["task=1"], ["==> generate/8_1_0_restart-0.log", "wavenet: no room"]),
        (["task=8_1"], ["==> generate/8_1_0_restart-0.log", "wavenet: no room"]),
        (["stage=train"], ["==> train/7_0_restart-1.log", "attempt 2", "step 1", "step 2"]),
        (["stage=train", "rank=1"], ["==> train/7_1_restart-1.log", "rank 1"]),
        (["stage=train", "lines=1"], ["==> train/7_0_restart-1.log", "step 2"]),
        (["stage=train", "follow=true"], ["==> train/7_0_restart-1.log", "attempt 2", "step 1", "step 2"]),
    ],
)
def test_it_prints_what_was_asked_for(run: RunPaths, words: list[str], lines: list[str], wavenet: Run) -> None:
    """Of each task the latest start; by default of the stage that wrote last; a run that is over is not followed."""
    done = wavenet("logs", "run=a", "follow=false", *words)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.replace("runs/a/jobs/", "").replace("-20260101T000000Z", "").splitlines()
    assert len(shown) == len(lines)
    assert all(wanted in line for wanted, line in zip(lines, shown, strict=True))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["run=nowhere"], 3, "there is no run at 'runs/nowhere'; `wavenet status` lists the runs below runs"),
        (["run=a", "stage=report"], 3, "'a' has no log of stage=report; there are logs of: generate, train"),
        (["run=a", "stage=train", "rank=5"], 3, "has no log of stage=train, rank=5; there are tasks 7 and ranks 0, 1"),
        (["run=a", "task=9"], 3, "'a' has no log of stage=newest, task=9; there are tasks 7, 8_0, 8_1"),
        (["run=a", "rank=-1"], 2, "rank must be at least 0, got -1"),
        (["run=a", "stage=later"], 2, "stage must be one of newest, plan, prepare,"),
        ([], 3, "nothing was started in the data folder 'data'; name a run with run="),
    ],
)
def test_a_log_that_is_not_there_is_one_sentence(
    run: RunPaths, words: list[str], code: int, sentence: str, wavenet: Run
) -> None:
    """It says what there is."""
    done = wavenet("logs", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert sentence in done.stderr


def test_a_run_that_was_not_started_has_no_log(tmp_path: Path, wavenet: Run) -> None:
    """And says so."""
    (tmp_path / "runs" / "new").mkdir(parents=True)
    assert "nothing has been started yet" in wavenet("logs", "run=new").stderr


def test_the_preparation_is_found_in_the_data_folder(run: RunPaths, tmp_path: Path, wavenet: Run) -> None:
    """Where it was a command of its own."""
    log(RunPaths(tmp_path / "data"), "prepare-20260101T000000Z", "3_0_0_restart-0.log", "four shards\n")
    assert "four shards\n" in wavenet("logs").stdout
    assert "four shards\n" in wavenet("logs", "run=a", "data=data", "stage=prepare").stdout


def test_a_job_that_never_came_to_python_shows_its_batch_scripts_words(run: RunPaths) -> None:
    """They are all that there is."""
    words = log(run, "report-20260101T000000Z", "9_0_log.out", "module: command not found\n")
    assert [one.path for one in present(list_logs(run.jobs))] == [words]


def test_of_a_job_and_its_successor_the_successor_counts(run: RunPaths) -> None:
    """They are one task, whatever their numbers of restarts."""
    log(run, "train-20260101T000000Z", "11_0_restart-0.log", "successor\n")
    ours = [one for one in list_logs(run.jobs, "train") if one.rank == 0]
    assert [one.path.name for one in present(ours)] == ["11_0_restart-0.log"]


def test_it_follows_from_attempt_to_attempt_to_the_end(tmp_path: Path, data: Path, environment: dict[str, str]) -> None:
    """A training on this machine that is killed on its way: both logs, to their last lines; then it ends by itself."""
    typed = [f"run={tmp_path / 'runs' / 'b'}", f"data={data}", "cluster=local", "training.num_steps=60", *SMALL]
    readers: list[subprocess.Popen[str]] = []
    lines: list[str] = []

    def watch(line: str, job: LocalJob) -> None:
        if readers or not line.startswith("step 20 "):
            return
        job.send(signal.SIGSTOP)
        command = [PROGRAM, "logs", "run=b"]
        readers.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True))
        while not lines or not lines[-1].startswith("step 20 "):
            lines.append(readers[0].stdout.readline())
        job.send(signal.SIGKILL)

    train(compose_for_run("train", TrainKeys, typed), watch)
    with readers[0] as reader:
        told, _ = reader.communicate(timeout=120)
    assert reader.returncode == 0
    lines += told.splitlines()
    first, second = (number for number, line in enumerate(lines) if line.startswith("==> "))
    assert lines[first + 1].startswith("attempt 1 on ")
    assert lines[second + 1].startswith("attempt 2 on ")
    assert lines[-1] == "committed checkpoint step-00000060"
