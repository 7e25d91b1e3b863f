"""The submitting user's shell, and patience."""

from __future__ import annotations

import pwd
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster.record import Cluster
from slurm.devcluster.users import as_user

PATIENCE = 240  # seconds; two busy cores may share a dozen starts of torch


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Fails if it does not come true."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@dataclass(frozen=True)
class Shell:
    """Runs commands as the submitting user of a cluster."""

    cluster: Cluster

    def __call__(self, *command: str, timeout: float = 60) -> str:
        """What the command prints; it has to succeed."""
        options = as_user(self.cluster)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @property
    def home(self) -> Path:
        return Path(pwd.getpwnam(self.cluster.user).pw_dir)

    def submit(self, name: str, script: str, *options: str) -> str:
        """Submit a batch script of this text, and bring the job's id."""
        path = self.home / name
        path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        return self("sbatch", "--parsable", f"--job-name={name}", *options, str(path))

    def state(self, job: str) -> str:
        shown = self("scontrol", "--oneliner", "show", "job", job)
        return next(word.partition("=")[2] for word in shown.split() if word.startswith("JobState="))

    def wait_for_state(self, job: str, *states: str, seconds: float = 60) -> str:
        deadline = time.monotonic() + seconds
        while (state := self.state(job)) not in states:
            assert time.monotonic() < deadline, f"job {job} is {state}, not {' or '.join(states)}"
            time.sleep(0.3)
        return state
