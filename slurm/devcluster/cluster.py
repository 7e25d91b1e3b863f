"""Bring a cluster up, say how it is, and take it down."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from slurm.devcluster import accounting, cgroups, daemons, network, nodes, packages, registry, users
from slurm.devcluster.commands import ask
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.processes import kill_all, last_words, of_cluster, wait_for, wait_until
from slurm.devcluster.record import Cluster


def up(
    name: str = "dev",
    folder: Path | None = None,
    user: str | None = None,
    *,
    num_nodes: int = 3,
    num_cpus: int = 2,
    grace_seconds: int = 15,
    is_isolated: bool = False,
    has_accounting: bool = False,
    settings: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Cluster:
    """Bring a cluster up and wait until every node is idle; what fails half-way is taken down again.

    Args:
        name: 1 to 8 letters; the nodes are the name with 1, 2, …
        folder: where everything lies that the cluster writes; must not be there yet.
        user: who submits; made, and removed by `down`, if not there. The name with "user" if None.
        num_nodes: how many, each with `num_cpus` processors, which the machine need not have.
        grace_seconds: of the partitions that have a grace time.
        is_isolated: each node has a network, a process table and a host name of its own.
        has_accounting: with slurmdbd and a database.
        settings: lines of slurm.conf, Key=Value.
        say: is told what takes long.

    Raises:
        DevclusterError: it did not come up, and why.
    """
    if reason := packages.obstacle():
        raise DevclusterError(f"no cluster can be brought up here: {reason}")
    wanted = Cluster(
        name=name,
        folder=(folder or registry.folder_of(name)).absolute(),
        slot=0,
        user=user or f"{name}user",
        is_own_user=not users.exists(user or f"{name}user"),
        num_nodes=num_nodes,
        num_cpus=num_cpus,
        grace_seconds=grace_seconds,
        is_isolated=is_isolated,
        has_accounting=has_accounting,
        settings=settings,
    )
    cluster = registry.claim(wanted)
    try:
        _bring_up(cluster, say)
    except BaseException:
        # The reason why it did not come up is worth more than what also went wrong while cleaning up.
        with contextlib.suppress(DevclusterError):
            down(cluster)
        raise
    return cluster


def _bring_up(cluster: Cluster, say: Callable[[str], None]) -> None:
    if missing := packages.missing(has_accounting=cluster.has_accounting):
        say(f"installing {' '.join(missing)}")
        packages.install(missing)
    if cluster.is_own_user:
        users.add(cluster.user)
    daemons.write_files(cluster)
    cgroups.prepare()
    daemons.start_munge(cluster)
    if cluster.is_isolated:
        network.make_bridge(cluster)
    if cluster.has_accounting:
        accounting.start_database(cluster)
        accounting.start_slurmdbd(cluster)
        accounting.add_user(cluster)
    daemons.start_controller(cluster)
    for node in cluster.nodes:
        nodes.boot(cluster, node)
    wait_until_idle(cluster)


def wait_until_idle(cluster: Cluster, seconds: float = 60) -> None:
    """Wait until every node is ready for work and has none.

    Raises:
        DevclusterError: the controller has ended, or a node is not idle in time.
    """
    wait_for(cluster, "slurmctld", lambda: states(cluster), seconds)
    wait_until(
        lambda: set(states(cluster).values()) == {"idle"},
        f"every node of {cluster.name} is idle: ",
        seconds,
        lambda: f"{states(cluster)}" + last_words(cluster, nodes.role_of(cluster, cluster.nodes[0])),
    )


def states(cluster: Cluster) -> dict[str, str]:
    """What the controller says of each node; nothing if it does not answer."""
    command = ["sinfo", "--noheader", "--Node", "--partition=urgent", "--format=%N %t"]
    done = ask(command, cluster)
    pairs = [line.split() for line in done.stdout.splitlines()]
    return {} if done.returncode else dict(pairs)


def down(cluster: Cluster) -> None:
    """Remove everything that `up` made, however far it or another `down` came.

    Raises:
        DevclusterError: something would not go. All the rest is gone, and `down` may be run again.
    """
    problems = []
    for remove in (_end_processes, _remove_cgroups, network.remove_all, _remove_user):
        try:
            remove(cluster)
        except (DevclusterError, OSError) as problem:
            problems.append(str(problem))
    if problems:
        raise DevclusterError("; ".join(problems))
    if cluster.folder.exists():
        shutil.rmtree(cluster.folder)
    registry.release(cluster)


def _end_processes(cluster: Cluster) -> None:
    kill_all(lambda: [each.pid for each in of_cluster(cluster)], f"the daemons of {cluster.name} have ended")
    cgroups.kill_jobs(cluster.nodes)


def _remove_cgroups(cluster: Cluster) -> None:
    cgroups.remove(cluster.nodes)


def _remove_user(cluster: Cluster) -> None:
    if cluster.is_own_user:
        users.remove(cluster.user)
