"""What a user of a cluster does with the program, and what becomes of a run there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm.devcluster.users import as_user
from tests.small import SMALL
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history

from .program import Program
from .shell import PATIENCE, Shell

NUM_STEPS = 600
_MOMENT_SECONDS = 0.1

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

    def __call__(self, *words: str, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        options = as_user(self.shell.cluster, **self.program.variables)
        return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False, **options)

    def wavenet(self, *words: str, seconds: float = PATIENCE) -> str:
        done = self(self.program.wavenet, *words, seconds=seconds)
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
        pid = self._process()
        assert pid is not None, f"no process of job {self.job}"
        return pid

    def _process(self) -> int | None:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                mine = f"SLURM_JOB_ID={self.job}".encode() in (folder / "environ").read_bytes().split(b"\0")
                # srun has its words as well, and so has what starts a container.
                is_ours = str(self.run.jobs).encode() in b" ".join(words) and words[0].endswith(b"/python")
                if mine and is_ours and b"submitit.core._submit" in words:
                    return int(folder.name)
        return None

    def hold(self, attempt: int = 1) -> int:
        """Bring it to where it trains and stop the process there, so that what comes next comes in the middle.

        It is caught while it imports torch, and from then on runs for a moment between two looks: whoever looks at a
        process that runs may, on a busy machine, see it only when it has come to its end.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            pid = self._process()
            _send(pid, signal.SIGSTOP)
            if self._has_step(attempt):
                return self.pid()
            assert time.monotonic() < deadline, f"no step of attempt {attempt}: {self._known()}"
            _send(pid, signal.SIGCONT)
            time.sleep(_MOMENT_SECONDS)

    def _known(self) -> str:
        """For the message of a test that fails."""
        queue = self.shell("squeue", "--states=all", "--format=%i %j %T %r %N %M")
        log = self.run.jobs / "decisions.log"
        return f"{queue}\n{log.read_text('utf-8') if log.exists() else 'nothing decided'}"

    def _has_step(self, attempt: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return '"kind": "step"' in self.run.attempt_history(attempt).read_text("utf-8")
        return False

    def minutes(self) -> int:
        """Whole minutes that the job has run."""
        return self.seconds() // 60

    def seconds(self) -> int:
        """That the job has run, or none where it does not run any more."""
        *hours, minutes, seconds = self.shell("squeue", "--noheader", f"--jobs={self.job}", "--format=%M").split(":")
        return int(seconds) + 60 * int(minutes) + 3600 * sum(map(int, hours))

    def node(self) -> str:
        return self.shell("squeue", "--noheader", f"--jobs={self.job}", "--format=%N")

    def attempts(self) -> list[AttemptRow]:
        return read_history(self.run).attempts

    def starts(self) -> list[dict[str, Any]]:
        """What each attempt wrote at its beginning."""
        paths = sorted(self.run.history.glob("*.jsonl"))
        return [json.loads(path.read_text("utf-8").splitlines()[0]) for path in paths]

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


def _send(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
