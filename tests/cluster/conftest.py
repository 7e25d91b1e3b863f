"""Real clusters for the tests, with names of their own, and what a machine looks like without them."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurm.devcluster import cluster as clusters
from slurm.devcluster import packages, registry
from slurm.devcluster.record import Cluster
from slurm.devcluster.users import as_user

from .program import Program, readable


def free_name(letter: str) -> str:
    """A name that no other test process and no person uses; 26 letters write the process id in four."""
    number, letters = os.getpid(), ""
    while number:
        number, rest = divmod(number, 26)
        letters += chr(ord("a") + rest)
    return f"t{letter}{letters}"


@pytest.fixture(scope="session")
def possible() -> None:
    """Skips where no cluster can be brought up."""
    if reason := packages.obstacle():
        pytest.skip(f"no Slurm cluster can be brought up here: {reason}")


@pytest.fixture(scope="session")
def bring_up(possible: None) -> Iterator[Callable[..., Cluster]]:
    """Brings clusters up; those still there at the end are taken down."""
    made: list[Cluster] = []

    def bring(letter: str, **options: object) -> Cluster:
        made.append(clusters.up(free_name(letter), **options))
        return made[-1]

    yield bring
    for cluster in made:
        if cluster in registry.registered():
            clusters.down(cluster)


@pytest.fixture(scope="session")
def cluster(program: Program, bring_up: Callable[..., Cluster]) -> Cluster:
    """Five isolated nodes with accounting, and a grace time that a test can wait for.

    The program comes first: nodes see what was mounted before they started, wherever mounts are not shared.
    """
    return bring_up("a", num_nodes=5, grace_seconds=4, is_isolated=True, has_accounting=True)


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


@pytest.fixture(scope="session")
def program(possible: None) -> Iterator[Program]:
    """The project's own commands, where the cluster's user can read them."""
    with readable() as program:
        yield program


@pytest.fixture(scope="session")
def shell(cluster: Cluster) -> Shell:
    return Shell(cluster)


def traces(name: str) -> dict[str, list[str]]:
    """All that is on this machine of a cluster of this name: empty if it left nothing."""
    folder = str(registry.folder_of(name))
    found = {
        "links": [link.name for link in Path("/sys/class/net").iterdir() if name in link.name],
        "mounts": [line for line in Path("/proc/mounts").read_text("utf-8").splitlines() if name in line],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if name in path.name],
        "files": [str(path) for place in ("/tmp", "/run", "/home") for path in Path(place).glob(f"*{name}*")],
        "registry": [str(path) for path in registry.REGISTRY.glob("*") if name in path.read_text("utf-8")],
        "accounts": [entry.pw_name for entry in pwd.getpwall() if name in entry.pw_name],
        "processes": [],
    }
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The mounts that it sees tell who lives in a node's name spaces, whatever its own name.
            known_by = b"".join((process / file).read_bytes() for file in ("cmdline", "environ", "mountinfo"))
            if folder.encode() in known_by and int(process.name) != os.getpid():
                found["processes"].append(f"{process.name} {known_by!r}")
    return {kind: things for kind, things in found.items() if things}
