"""The cluster's processes, found by a mark in their environment.

A process id in a file may belong to somebody else by the time it is read, and is missing when `up` died between the
start and the writing. The mark is in the process itself, from its first moment to its last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slurm.devcluster.commands import environment
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.record import Cluster

MARK = "DEVCLUSTER_DAEMON"
T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """One process of a cluster: `role` is what `start` was told, `program` the name of what it now runs."""

    pid: int
    role: str
    program: str


def mark_of(cluster: Cluster, role: str) -> str:
    return f"{MARK}={cluster.folder}:{role}"


def start(
    cluster: Cluster, role: str, command: list[str], *, user: str | None = None, variables: dict[str, str] | None = None
) -> None:
    """Start a daemon that outlives us, with an environment of its own: jobs inherit nothing of the caller's."""
    name, _, value = mark_of(cluster, role).partition("=")
    with (cluster.output / role).open("ab") as output:
        subprocess.run(
            # Forked off: a child of ours would stay a zombie until we wait for it.
            ["setsid", "--fork", *command],  # noqa: S607 - as PATH has it
            check=True,
            cwd="/",
            env={**environment(cluster), name: value, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )


def of_cluster(cluster: Cluster) -> list[Process]:
    """Every daemon and every slurmstepd of this cluster; jobs are found by their cgroups."""
    found = (_inspect(cluster, pid) for pid in all_pids())
    return [process for process in found if process]


def with_role(cluster: Cluster, role: str) -> list[Process]:
    return [process for process in of_cluster(cluster) if process.role == role]


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def number_inside(pid: int) -> int:
    """A process's id in its own process table, 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), 0)


def _inspect(cluster: Cluster, pid: int) -> Process | None:
    folder = Path("/proc", str(pid))
    prefix = mark_of(cluster, "").encode()
    try:
        program = (folder / "exe").readlink().name
        for variable in environment_of(folder).split(b"\0"):
            if variable.startswith(prefix):
                return Process(pid, variable[len(prefix) :].decode(), program)
        # slurmstepd and slurmctld's script runner write their title over their environment, but hold their log open.
        if program.startswith("slurm") and _holds_file_in(folder, cluster.folder):
            return Process(pid, "", program)
    except OSError:  # it has ended meanwhile, or is the kernel's
        pass
    return None


def environment_of(process: Path, seconds: float = 10) -> bytes:
    """The environment of a process's folder in /proc.

    A process has none while execve() puts the new program in place, longer on a loaded machine: taken at its word, a
    daemon that has just been started would not be there.
    """
    deadline = time.monotonic() + seconds
    while not (text := (process / "environ").read_bytes()) and _has_no_stack_yet(process):
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)
    return text or (process / "environ").read_bytes()


def _has_no_stack_yet(process: Path) -> bool:
    """Whether `env_end`, the second to last field of `stat` (proc(5)), is still 0."""
    return (process / "stat").read_text(encoding="utf-8", errors="replace").split()[-2] == "0"


def _holds_file_in(process: Path, folder: Path) -> bool:
    return any(each.readlink().is_relative_to(folder) for each in (process / "fd").iterdir())


def kill(pid: int, is_still: Callable[[int], bool], number: int = signal.SIGKILL) -> None:
    """Signal a process if, held by a descriptor so that its id cannot pass to another, it is still the one meant."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_still(pid):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def kill_all(find: Callable[[], Iterable[int]], what: str, seconds: float = 20) -> None:
    """Kill what `find` finds until it finds nothing: between two looks a daemon may have started another process.

    Raises:
        DevclusterError: some do not die.
    """

    def remaining() -> list[int]:
        pids = list(find())
        for pid in pids:
            kill(pid, lambda pid: pid in find())
        return pids

    wait_until(lambda: not remaining(), what, seconds)


def wait_for(cluster: Cluster, role: str, answer: Callable[[], T], seconds: float = 60) -> T:
    """Ask a daemon until its answer is a true one, and give that back.

    Raises:
        DevclusterError: it has ended, or none comes in time; with the last that it said.
    """

    def ask_while_it_runs() -> T:
        if not with_role(cluster, role):
            raise DevclusterError(f"{role} of {cluster.name} has ended{last_words(cluster, role)}")
        return answer()

    return wait_until(
        ask_while_it_runs, f"{role} of {cluster.name} answers", seconds, lambda: last_words(cluster, role)
    )


def last_words(cluster: Cluster, role: str) -> str:
    """The end of what a daemon has printed."""
    output = cluster.output / role
    said = output.read_text(encoding="utf-8", errors="replace").splitlines() if output.is_file() else []
    return "".join(f"\n  {line}" for line in said[-12:])


def wait_until(answer: Callable[[], T], what: str, seconds: float, why_not: Callable[[], str] = str) -> T:
    """Ask until the answer is a true one, and give it back.

    Raises:
        DevclusterError: none comes in time; the sentence ends with what `why_not` says.
    """
    deadline = time.monotonic() + seconds
    while not (given := answer()):
        if time.monotonic() > deadline:
            raise DevclusterError(f"waited {seconds:g} s in vain until {what}{why_not()}")
        time.sleep(0.05)
    return given
