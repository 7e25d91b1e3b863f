"""What a user of a cluster does with the program, and what becomes of a run there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster.users import as_user
from tests.small import SMALL
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history

from .program import Program
from .shell import PATIENCE, Shell, wait_until

NUM_STEPS = 600

TINY = ["data=data", f"training.num_steps={NUM_STEPS}", *SMALL]
SLURM = ["cluster=slurm", "cluster.time_limit_minutes=30", "cluster.restart_pause_seconds=1"]
CLIPS = ["clips.seconds=3", "clips.min_recording_seconds=3"]
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
