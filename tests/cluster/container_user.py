"""An ordinary user of a cluster in a machine with a newer Slurm, whose jobs run in the program's image."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm.devcluster import machine as machines
from slurm.devcluster.machine import Machine
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history

from .program import PROJECT, write_environment
from .shell import PATIENCE, wait_until
from .user import NUM_STEPS, SLURM, TINY

IMAGE = Path("/opt/wavenet.sif")
BASE = Path("/opt/base.tar")
PYTHON, PACKAGES, CHECKOUT, PROGRAM = (Path(f"/opt/{name}") for name in ("python", "packages", "checkout", "program"))
NUM_NODES = 5
IN_THE_IMAGE = [*SLURM, f"cluster.container.image={IMAGE}"]


@dataclass(frozen=True)
class ContainerUser:
    """At a prompt on the login node, in the home folder."""

    machine: Machine

    @property
    def name(self) -> str:
        return f"{self.machine.name}user"

    @property
    def home(self) -> Path:
        """As seen from here."""
        return self.machine.files / "home" / self.name

    @property
    def nodes(self) -> list[str]:
        return [f"{self.machine.name}{number}" for number in range(1, NUM_NODES + 1)]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(words, self.name)

    def _run(self, words: Sequence[str], user: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{PROGRAM}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": str(PYTHON / "lib"),
            # The login node's own Python is not what the poisoned packages of the home folder are for.
            "PYTHONNOUSERSITE": "1",
            "SLURM_CONF": f"/tmp/devcluster-{self.machine.name}/slurm.conf",
            # Of the host's Python, hence of no use in the image; there it would break everything.
            "PYTHONPATH": "/opt/devcluster/slurm/devcluster",
        }
        command = self.machine.command(list(words), user=user, variables=variables)
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def said(self, *words: str, by: str = "") -> str:
        """What a command prints; it has to succeed. The user gives it, or whoever it is ``by``."""
        done = self._run(words, by or self.name)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def train(self, name: str, *words: str) -> ContainerStory:
        """Submit a run."""
        said = self.said("wavenet", "train", f"run={name}", *TINY, *IN_THE_IMAGE, *words)
        return ContainerStory(self, name, said.partition(" as job ")[2].split(";")[0])

    def run(self, name: str, *words: str) -> dict[str, ContainerStory]:
        """Submit all stages of a run; each is known by its name."""
        said = self.said("wavenet", "run", f"run={name}", *TINY, *IN_THE_IMAGE, *words)
        jobs = re.findall(r"wavenet-(\w+)-\w+ as job (\d+)", said)
        return {stage: ContainerStory(self, name, job) for stage, job in jobs}

    def take(self, node: str) -> None:
        """Let an urgent job preempt whatever is on the node, and leave it soon."""
        place = ["--partition=urgent", "--exclusive", f"--nodelist={node}", "--output=/dev/null"]
        self.said("sbatch", "--job-name=urgent", *place, "--wrap=sleep 1")


@dataclass(frozen=True)
class ContainerStory:
    """A run and the job that it was submitted as."""

    user: ContainerUser
    name: str
    job: str

    @property
    def run(self) -> RunPaths:
        """As seen from here."""
        return RunPaths(self.user.home / "runs" / self.name)

    def pids(self, but: int = 0) -> dict[int, int]:
        """The training processes inside containers by their ranks, as this machine numbers them, ``but`` for one."""
        place = f"/home/{self.user.name}/runs/{self.name}/jobs/train".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if int(folder.name) == but:
                    continue
                if words[0].endswith(b"/python") and b"submitit.core._submit" in words and place in b" ".join(words):
                    variables = (folder / "environ").read_bytes().split(b"\0")
                    rank = next(each for each in variables if each.startswith(b"SLURM_PROCID="))
                    found[int(rank.partition(b"=")[2])] = int(folder.name)
        return found

    def hold(self, attempt: int = 1, zombie: int = 0) -> int:
        """Wait until it trains and stop the process there, so that what comes next comes in the middle."""
        wait_until(lambda: self.trains(attempt), PATIENCE)
        pid = self.pids(but=zombie)[0]
        os.kill(pid, signal.SIGSTOP)
        return pid

    def trains(self, attempt: int) -> bool:
        attempts = self.attempts()
        return len(attempts) == attempt and attempts[-1].last_step > attempts[-1].resumed_step

    def be_told(self, pid: int, number: signal.Signals) -> None:
        """Wait until the held process is told of its end, let it go on, and tell it again while it saves."""
        wait_until(lambda: is_told(pid, number), PATIENCE)
        for each in (signal.SIGCONT, number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, each)

    def state(self) -> str:
        shown = self.user.said("scontrol", "--oneliner", "show", "job", self.job)
        return next(word.partition("=")[2] for word in shown.split() if word.startswith("JobState="))

    def update(self, *words: str, by: str = "") -> None:
        self.user.said("scontrol", "update", f"JobId={self.job}", *words, by=by)

    def asked(self, field: str) -> str:
        """What squeue says of the job."""
        return self.user.said("squeue", "--noheader", f"--jobs={self.job}", f"--format={field}")

    def wait_for_the_end(self) -> None:
        over = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL")
        wait_until(lambda: self.state() in over, PATIENCE)

    def logs(self) -> str:
        """All that was printed, for the message of a test that fails."""
        return "".join(f"{path}:\n{path.read_text('utf-8')}" for path in self.run.jobs.glob("*/*.log"))

    def decisions(self) -> str:
        return (self.run.jobs / "decisions.log").read_text("utf-8")

    def attempts(self) -> list[AttemptRow]:
        return read_history(self.run).attempts

    def causes(self) -> list[str]:
        return [attempt.cause for attempt in self.attempts()]

    def rows(self, attempt: int) -> dict[str, dict[str, Any]]:
        """The newest row of each kind that an attempt has written."""
        lines = (self.run.history / f"attempt-{attempt:04}.jsonl").read_text("utf-8").splitlines()
        return {row["kind"]: row for row in map(json.loads, lines)}

    def is_finished(self) -> bool:
        committed = list_committed(self.run)
        return bool(committed) and committed[-1].step == NUM_STEPS

    def last_files(self) -> dict[str, bytes]:
        """Weights, averages and the optimiser's moments of the newest checkpoint."""
        folder = list_committed(self.run)[-1].path
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


def is_told(pid: int, number: int) -> bool:
    """Whether a signal has reached a stopped process, or has set it going already."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return True
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    pending = int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)
    return bool(pending >> (number - 1) & 1) or fields["State"].split()[0] not in "tT"


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process's main thread does nothing as long as the block runs, whatever signals it gets: SIGCONT as well."""
    attach = f"import ctypes, sys; print(ctypes.CDLL(None).ptrace(16, {pid}, 0, 0), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", attach], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        assert tracer.stdin is not None
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"0\n"
        yield
        tracer.stdin.close()


@contextlib.contextmanager
def settled(name: str, root: Path, files: dict[Path, Path], folder: Path, *settings: str) -> Iterator[ContainerUser]:
    """A cluster whose nodes have networks of their own, and its user, as long as the block runs.

    Args:
        files: where they are here, and where they are there.
        folder: empty, for the environment of the login node.
        settings: lines of slurm.conf.
    """
    write_environment(folder, PROGRAM, PYTHON, PACKAGES, CHECKOUT)
    places = {
        **files,
        Path(sys.base_prefix): PYTHON,
        Path(sysconfig.get_path("purelib")): PACKAGES,
        PROJECT: CHECKOUT,
        folder: PROGRAM,
    }
    machine = machines.boot(name, root, places)
    try:
        lines = [word for setting in settings for word in ("--set", setting)]
        assert machine.ours(["up", "--name", name, "--nodes", str(NUM_NODES), "--cpus", "4", "--isolated", *lines]) == 0
        yield ContainerUser(machine)
    finally:
        machines.shut_down(name)
