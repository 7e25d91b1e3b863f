"""What the machine and the scheduler tell a process, as plain values; the only reader of environment variables."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.processes import started_tick
from wavenet.checkpoint.ledger import Owner
from wavenet.world import World

LOOPBACK = "127.0.0.1"
_SLURM_CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/run/slurm/conf/slurm.conf")


def default_cluster() -> str:
    """The profile used when none is named: Slurm where its commands know a cluster, for packages may be there alone."""
    is_configured = "SLURM_CONF" in os.environ or any(Path(path).exists() for path in _SLURM_CONFIGURATIONS)
    return "slurm" if has_slurm() and is_configured else "local"


def has_slurm() -> bool:
    """Whether the command that submits jobs is installed."""
    return shutil.which("sbatch") is not None


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_of_task(environment: Mapping[str, str] | None = None) -> int:
    """Cores that Slurm has given this task for itself; 1 where nobody says."""
    values = os.environ if environment is None else environment
    given = values.get("SLURM_CPUS_PER_TASK", "")
    return max(1, min(int(given), num_cores())) if given.isdigit() else 1


def host_name() -> str:
    """The name of this machine among others."""
    return socket.gethostname()


def quiet_submitit() -> None:
    """Keep submitit's own lines out of the logs of the jobs started from here: a log is the program's."""
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "WARNING")


def done_marker() -> Path | None:
    """The file by which a job of ours tells its batch script that all is done."""
    path = os.environ.get("WAVENET_DONE")
    return Path(path) if path else None


def excluded_hosts() -> tuple[str, ...]:
    """Hosts that the job's batch script lets it stay away from."""
    return tuple(host for host in os.environ.get("WAVENET_EXCLUDED", "").split(",") if host)


def questions() -> Path | None:
    """The folder in which a program in a container asks its batch script; see `jobs.outside`."""
    path = os.environ.get("WAVENET_QUESTIONS")
    return Path(path) if path else None


def is_on_first_node() -> bool:
    """Of a job's nodes, the one that runs the batch script."""
    return os.environ.get("SLURM_NODEID", "0") == "0"


def variables(beginnings: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Those of the environment that have one of these names, or begin so."""
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(tuple(beginnings))}


@dataclass(frozen=True)
class Placement:
    """Where in a job this process is."""

    job_id: str | None
    restart_count: int
    world: World
    address: str = LOOPBACK
    """By which the job's other processes reach this one."""
    nodes: str = ""
    """All of the job's, as Slurm writes them."""


def placement(environment: Mapping[str, str] | None = None) -> Placement:
    """Read from submitit's local executor or from Slurm, whichever started this process; else a process of its own."""
    values = os.environ if environment is None else environment
    if values.get("SUBMITIT_EXECUTOR") == "slurm":
        world = World(int(values.get("SLURM_PROCID", "0")), int(values.get("SLURM_NTASKS", "1")))
        restart_count = int(values.get("SLURM_RESTART_COUNT", "0"))
        nodes = values.get("SLURM_JOB_NODELIST", "")
        return Placement(values.get("SLURM_JOB_ID"), restart_count, world, _address(values), nodes)
    if values.get("SUBMITIT_EXECUTOR") == "local":
        world = World(int(values.get("SUBMITIT_LOCAL_GLOBALID", "0")), int(values.get("SUBMITIT_LOCAL_NTASKS", "1")))
        return Placement(None, 0, world)
    return Placement(None, 0, World())


def _address(values: Mapping[str, str]) -> str:
    """Where srun, which was started beside rank 0, was heard from on the cluster's network.

    A host's own name is the second choice: many sites let it mean the loopback on the host itself.
    """
    if values.get("SLURM_JOB_NUM_NODES", "1") == "1":
        return LOOPBACK
    heard = values.get("SLURM_LAUNCH_NODE_IPADDR", "")
    return heard if is_own_address(heard) else host_name()


def is_own_address(address: str) -> bool:
    """Whether other machines reach this one by this address."""
    if not address or address.startswith("127.") or address == "::1":
        return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as place:
        place.bind((address, 0))
        return True
    return False


def owner(place: Placement, restart_count: int) -> Owner:
    """The present process as the owner of a run."""
    return Owner(host_name(), os.getpid(), started_tick(os.getpid()) or 0, place.job_id, restart_count)
