"""The network of isolated nodes: a bridge on this machine, and one cable from it to each node."""

from __future__ import annotations

from pathlib import Path

from slurm.devcluster.commands import do
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.record import Cluster


def ip(*words: str) -> None:
    """Run the ip command.

    Raises:
        DevclusterError: with what it says.
    """
    do(["ip", *words])


def exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def make_bridge(cluster: Cluster) -> None:
    ip("link", "add", cluster.bridge, "type", "bridge")
    ip("address", "add", f"{cluster.address}/24", "dev", cluster.bridge)
    ip("link", "set", cluster.bridge, "up")


def connect(cluster: Cluster, node: str, pid: int) -> None:
    """Lay the cable from the bridge into the network of process `pid`, where it is eth0."""
    link = cluster.link_of(node)
    remove(link)  # a node that lost its power leaves its end for a moment
    ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    ip("link", "set", link, "master", cluster.bridge, "up")


def set_connected(cluster: Cluster, node: str, *, is_connected: bool) -> None:
    ip("link", "set", cluster.link_of(node), "up" if is_connected else "down")


def remove(link: str) -> None:
    if exists(link):
        try:
            ip("link", "delete", link)
        except DevclusterError:
            if exists(link):  # and not gone by itself in between, with the network at its other end
                raise


def remove_all(cluster: Cluster) -> None:
    for link in [*(cluster.link_of(node) for node in cluster.nodes), cluster.bridge]:
        remove(link)
