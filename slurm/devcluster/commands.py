"""Other programs, run with an environment of their own: the caller's may name another cluster."""

from __future__ import annotations

import subprocess

from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.record import Cluster

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(cluster: Cluster | None) -> dict[str, str]:
    """What a program gets to know; Slurm's learn their cluster from SLURM_CONF."""
    return {"PATH": PATH, "LANG": "C.UTF-8"} | ({"SLURM_CONF": str(cluster.slurm_conf)} if cluster else {})


def ask(command: list[str], cluster: Cluster | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command and bring what it says, whatever its exit code."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment(cluster) | variables,
        stdin=subprocess.DEVNULL,
    )


def do(command: list[str], cluster: Cluster | None = None, **variables: str) -> None:
    """Run a command that has to succeed.

    Raises:
        DevclusterError: with what it says.
    """
    done = ask(command, cluster, **variables)
    if done.returncode:
        raise DevclusterError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
