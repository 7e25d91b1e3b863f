"""A training job comes back by itself from whatever Slurm does to it, with the same bytes in the end; or stays away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurm.devcluster.record import Cluster
from slurm.devcluster.users import as_user
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history

from .conftest import Shell, wait_until
from .program import Program

# One worker brings the clusters up, once.
pytestmark = [pytest.mark.xdist_group("devcluster"), pytest.mark.timeout(600)]

NUM_STEPS = 600
PATIENCE = 240  # seconds; two busy cores share a dozen starts of torch

TINY = [
    "data=data",
    "model.layers_per_stack=4",
    "model.residual_channels=8",
    "model.dilation_channels=8",
    "model.skip_channels=8",
    f"training.num_steps={NUM_STEPS}",
    "training.window_samples=200",
    "training.micro_batches=2",
    "training.warmup_steps=2",
    "training.validation_every=0",
    "training.checkpoint_steps=[]",
    "training.spread_checkpoints=1",
    "training.log_every=1",
]
SLURM = ["cluster=slurm", "cluster.time_limit_minutes=30"]
ALONE = "cluster.cpus_per_task=2"  # nobody else on its node
PLACES = {
    "grace": ["cluster.partition=preemptible", ALONE],
    "no grace": ["cluster.partition=nograce", ALONE],
    "time limit": [],
    "requeue": ["cluster.partition=preemptible"],
    "kill": [],
    "cancel": [],
    "scancel": [],
}
MUSIC = (
    "from pathlib import Path; from wavenet.synthetic.library import write_library; "
    "write_library(Path('music'), seconds=3.0, recordings_share=0.25)"
)


@dataclass(frozen=True)
class User:
    """The ordinary user, with the program, at a prompt in the home folder."""

    shell: Shell
    program: Program

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        options = as_user(self.shell.cluster, **self.program.variables)
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)

    def wavenet(self, *words: str) -> str:
        done = self(self.program.wavenet, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def train(self, name: str, *words: str) -> Story:
        """Submit a run."""
        said = self.wavenet("train", f"run={name}", *TINY, *SLURM, *words)
        return Story(self.shell, RunPaths(self.shell.home / "runs" / name), said.partition(" as job ")[2].split(";")[0])


@dataclass(frozen=True)
class Story:
    """A run and the job that it was submitted as."""

    shell: Shell
    run: RunPaths
    job: str

    def pid(self) -> int:
        """The training process, as this machine numbers it."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                mine = f"SLURM_JOB_ID={self.job}".encode() in (folder / "environ").read_bytes().split(b"\0")
                is_ours = str(self.run.jobs).encode() in b" ".join(words) and b"srun" not in words[0]
                if mine and is_ours and b"submitit.core._submit" in words:
                    return int(folder.name)
        raise AssertionError(f"no process of job {self.job}")

    def hold(self) -> int:
        """Wait until it trains and stop the process there, so that what comes next comes in the middle."""
        wait_until(lambda: len(list(self.run.history.glob("attempt-*.jsonl"))) == 1, PATIENCE)
        pid = self.pid()
        wait_until(lambda: bool(read_history(self.run).steps), PATIENCE)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def minutes(self) -> int:
        """Whole minutes that the job has run."""
        *hours, minutes, _ = self.shell("squeue", "--noheader", f"--jobs={self.job}", "--format=%M").split(":")
        return int(minutes) + 60 * sum(map(int, hours))

    def node(self) -> str:
        return self.shell("squeue", "--noheader", f"--jobs={self.job}", "--format=%N")

    def attempts(self) -> list[AttemptRow]:
        return read_history(self.run).attempts

    def causes(self) -> list[str]:
        return [attempt.cause for attempt in self.attempts()]

    def is_finished(self) -> bool:
        committed = list_committed(self.run)
        return bool(committed) and committed[-1].step == NUM_STEPS

    def last_files(self) -> dict[str, bytes]:
        """Weights, averages and the optimiser's moments of the newest checkpoint."""
        folder = list_committed(self.run)[-1].path
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}

    def decisions(self) -> str:
        return (self.run.jobs / "decisions.log").read_text("utf-8")

    def wait_for_the_end(self) -> None:
        """Slurm forgets no job so soon: whatever it says now is its last word."""
        over = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT")
        self.shell.wait_for_state(self.job, *over, seconds=PATIENCE)


@pytest.fixture(scope="module")
def user(shell: Shell, program: Program) -> Iterator[User]:
    user = User(shell, program)
    assert user(program.python, "-c", MUSIC).returncode == 0
    user.wavenet("prepare", "source=music", "cluster=local", "clips.seconds=3", "clips.min_recording_seconds=3")
    yield user
    user("scancel", f"--user={shell.cluster.user}")
    wait_until(lambda: shell("squeue", "--noheader") == "")


@pytest.fixture(scope="module")
def stories(user: User, cluster: Cluster) -> dict[str, Story]:
    """Runs in the middle of whose training something happened, and what became of them."""
    with ThreadPoolExecutor(4) as pool:  # each is stopped as soon as it trains, before it can come to its end
        held = dict(zip(PLACES, pool.map(lambda name: _begin(user, name), PLACES), strict=True))
    stories = {name: story for name, (story, _) in held.items()}
    pids = {name: pid for name, (_, pid) in held.items()}
    limited = stories["time limit"]
    urgent = "--partition=urgent", "--exclusive"
    for name in ("grace", "no grace"):  # as long as these last, their runs have to go elsewhere
        user.shell.submit("urgent", "sleep 600", *urgent, f"--nodelist={stories[name].node()}")
    # Slurm tells a job of its end 90 + 30 seconds before it, or at once where less is left.
    user.shell("scontrol", "update", f"JobId={limited.job}", f"TimeLimit={limited.minutes() + 2}")
    user.shell("scontrol", "requeue", stories["requeue"].job)
    os.kill(pids["kill"], signal.SIGKILL)
    user.wavenet("cancel", "run=cancel")
    user.shell("scancel", stories["scancel"].job)
    wait_until(lambda: _is_told(pids["time limit"]), PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids["time limit"], signal.SIGCONT)
    for name, story in stories.items():
        if "cancel" not in name:
            wait_until(story.is_finished, PATIENCE)
        story.wait_for_the_end()
    user("scancel", "--name=urgent")
    return stories


def _begin(user: User, name: str) -> tuple[Story, int]:
    story = user.train(name, *PLACES[name])
    return story, story.hold()


def _is_told(pid: int) -> bool:
    """Whether the time limit's warning has reached the stopped process, or has set it going already."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return True
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return bool(int(fields["ShdPnd"], 16) >> (signal.SIGUSR2 - 1) & 1)


@pytest.fixture(scope="module")
def untouched(user: User) -> Story:
    """The same run without Slurm, and without anything happening to it."""
    user.wavenet("train", "run=untouched", *TINY, "cluster=local")
    return Story(user.shell, RunPaths(user.shell.home / "runs" / "untouched"), "")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("grace", "preemption"),
        ("no grace", "preemption"),
        ("time limit", "time limit"),
        ("requeue", "requeue"),
        ("kill", "crash"),
    ],
)
def test_it_comes_back_and_ends_with_the_same_bytes(
    stories: dict[str, Story], untouched: Story, name: str, cause: str
) -> None:
    """Weights, averages and moments equal those of a run that nothing happened to; the history says what happened."""
    story = stories[name]
    assert story.causes() == [cause, "finished"]
    assert [attempt.restart_count for attempt in story.attempts()] == [0, 1]
    assert {attempt.job_id for attempt in story.attempts()} == {story.job}
    assert story.last_files() == untouched.last_files()
    assert story.shell.state(story.job) == "COMPLETED"


@pytest.mark.parametrize("name", ["grace", "no grace", "time limit", "requeue"])
def test_what_was_told_in_time_loses_no_step(stories: dict[str, Story], name: str) -> None:
    """The last step is committed before the end, and the next attempt goes on from there."""
    before, after = stories[name].attempts()
    assert after.resumed_step == before.last_step > 0


@pytest.mark.parametrize("name", ["grace", "no grace"])
def test_a_preempted_run_moves_to_another_node(stories: dict[str, Story], name: str) -> None:
    """Its own is taken."""
    before, after = stories[name].attempts()
    assert before.host != after.host


@pytest.mark.parametrize("name", ["cancel", "scancel"])
def test_what_is_cancelled_stays_away(stories: dict[str, Story], name: str) -> None:
    """The state is saved, the cause is the user, and Slurm has no such job any more."""
    story = stories[name]
    assert story.causes() == ["user"]
    assert story.shell.state(story.job) == "CANCELLED"
    assert list_committed(story.run)[-1].step == story.attempts()[0].last_step
    assert "requeued" not in story.decisions().replace("not requeued", "")


def test_each_start_has_a_log_of_its_own(stories: dict[str, Story]) -> None:
    """It begins with where the attempt goes on from."""
    first, second = sorted(stories["grace"].run.jobs.glob("train-*/*_restart-*.log"))
    assert "attempt 1 on " in first.read_text("utf-8")
    assert "attempt 2 on " in second.read_text("utf-8")


def test_a_cancelled_run_goes_on_when_its_user_says_so(stories: dict[str, Story], untouched: Story, user: User) -> None:
    """Started again it is as if nothing had happened; while it is queued it is not submitted twice."""
    again = user.train("cancel", "cluster.sbatch=['begin=now+3600']")
    refused = user(user.program.wavenet, "train", "run=cancel", "cluster=slurm")
    assert refused.returncode == 5
    assert f"job {again.job} (wavenet-train-cancel) is PENDING (BeginTime)" in refused.stderr
    user.shell("scontrol", "update", f"JobId={again.job}", "StartTime=now")
    wait_until(again.is_finished, PATIENCE)
    assert again.last_files() == untouched.last_files()


def test_a_job_that_waits_is_cancelled_as_well(user: User) -> None:
    """It never starts."""
    story = user.train("waiting", "cluster.sbatch=['begin=now+3600']")
    assert f"job {story.job} (wavenet-train-waiting) is PENDING" in user.wavenet("cancel", "run=waiting")
    assert story.shell.state(story.job) == "CANCELLED"
    assert not story.run.history.exists()
