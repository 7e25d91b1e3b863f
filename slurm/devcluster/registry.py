"""Which clusters are on this machine: one copy of each one's record in /run/devcluster, named by its slot.

A cluster's own folder holds the other copy. Either is enough for `down`: folders get deleted by hand, and /run is
emptied when the machine starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.record import RECORD, Cluster

REGISTRY = Path("/run/devcluster")
NUM_SLOTS = 100


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One at a time on this machine. The lock is on /run itself: a lock file of its own would be a trace."""
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def registered() -> list[Cluster]:
    """All clusters of this machine by slot, half made and half removed ones too."""
    paths = sorted(REGISTRY.glob("*.json"), key=lambda path: int(path.stem))
    return [Cluster.from_json(path.read_text(encoding="utf-8")) for path in paths]


def folder_of(name: str) -> Path:
    """Where a cluster lies if nobody says otherwise."""
    return Path(f"/tmp/devcluster-{name}")  # noqa: S108 - made with mkdir, which refuses what is already there


def find(name: str, folder: Path | None) -> Cluster:
    """The cluster of this name, or in this folder.

    Raises:
        DevclusterError: there is none.
    """
    for cluster in registered():
        if cluster.folder == folder or (folder is None and cluster.name == name):
            return cluster
    record = (folder or folder_of(name)) / RECORD
    if record.is_file():
        return Cluster.from_json(record.read_text(encoding="utf-8"))
    raise DevclusterError(f"there is no cluster {name!r}" if folder is None else f"there is no cluster in {folder}")


def claim(wanted: Cluster) -> Cluster:
    """Make the folder and the record of a cluster, in the first free slot whatever its own.

    Raises:
        DevclusterError: the name or the folder is taken, or no slot is free.
    """
    with locked():
        taken = registered()
        cluster = _in_free_slot(wanted, {each.slot for each in taken})
        if cluster.name in {each.name for each in taken}:
            raise DevclusterError(f"cluster {cluster.name!r} is already there: `down` removes it, --name makes another")
        try:
            cluster.folder.mkdir(mode=0o755)
        except FileExistsError:
            remedy = "`down` removes it" if (cluster.folder / RECORD).is_file() else "name another with --folder"
            raise DevclusterError(f"{cluster.folder} is already there: {remedy}") from None
        cluster.folder.chmod(0o755)  # whatever the umask: users read slurm.conf
        REGISTRY.mkdir(exist_ok=True)
        _write(REGISTRY / f"{cluster.slot}.json", cluster)
        _write(cluster.folder / RECORD, cluster)
    return cluster


def release(cluster: Cluster) -> None:
    with locked():
        (REGISTRY / f"{cluster.slot}.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are registered, or it is gone already
            REGISTRY.rmdir()


def _write(path: Path, cluster: Cluster) -> None:
    """A crash leaves no half record, which nothing could read."""
    temporary = path.with_suffix(".new")
    temporary.write_text(cluster.to_json(), encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)


def _in_free_slot(wanted: Cluster, taken: set[int]) -> Cluster:
    for slot in sorted(set(range(NUM_SLOTS)) - taken):
        cluster = dataclasses.replace(wanted, slot=slot)
        if _is_free(cluster):
            return cluster
    raise DevclusterError(f"no slot is free: {NUM_SLOTS} clusters, or programs on their ports, are here")


def _is_free(cluster: Cluster) -> bool:
    return all(_can_listen(port) for port in [cluster.first_port, cluster.database_port, *cluster.node_ports])


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        # As Slurm does: a connection that lingers from a cluster just removed is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
