"""The nodes: started, killed, cut off and healed, each by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slurm.devcluster import cgroups, network
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.processes import (
    Process,
    kill_all,
    mark_of,
    number_inside,
    of_cluster,
    start,
    wait_for,
    with_role,
)
from slurm.devcluster.record import Cluster

FIRST_PROCESS = Path(__file__).with_name("node.sh")


def make_folder(cluster: Cluster, node: str) -> None:
    (cluster.of_node(node) / "spool").mkdir(parents=True, mode=0o755)


def boot(cluster: Cluster, node: str) -> None:
    """Start a node, or only its slurmd where the node runs without it."""
    require_node(cluster, node)
    if slurmd_of(cluster, node):
        raise DevclusterError(f"slurmd of {node} is running already")
    slurmd = ["slurmd", "-D", "-f", str(cluster.slurm_conf), "-N", node]
    if not cluster.is_isolated:
        start(cluster, f"slurmd-{node}", slurmd)
    elif _first_processes(cluster, node):
        start(cluster, f"slurmd-{node}", [*_enter(cluster, node), *slurmd])
    else:
        _boot_isolated(cluster, node, ["env", mark_of(cluster, f"slurmd-{node}"), *slurmd])


def role_of(cluster: Cluster, node: str) -> str:
    """Under which name the output of a node's slurmd is kept."""
    return f"node-{node}" if cluster.is_isolated else f"slurmd-{node}"


def _boot_isolated(cluster: Cluster, node: str, slurmd: list[str]) -> None:
    """Start a node with its own network, process table, host name and mounts; the files are everybody's."""
    # Mounts of this machine reach the nodes (a private copy would also keep busy what is unmounted here), not the
    # other way round. The cgroups stay visible: `ip netns exec` would hide them, and slurmd would refuse to start.
    spaces = ["--net", "--uts", "--pid", "--fork", "--kill-child", "--mount", "--propagation=slave", "--mount-proc"]
    script = ["bash", str(FIRST_PROCESS), node, f"{cluster.address_of(node)}/24", str(cluster.hosts)]
    start(cluster, f"node-{node}", ["unshare", *spaces, *script, *slurmd])
    first = wait_for(cluster, f"node-{node}", lambda: _first_processes(cluster, node))
    network.connect(cluster, node, first[0].pid)


def _first_processes(cluster: Cluster, node: str) -> list[Process]:
    """The process that is number 1 in the node, as seen from here."""
    role = with_role(cluster, f"node-{node}")
    return [each for each in role if number_inside(each.pid) == 1 and each.program == "bash"]


def _enter(cluster: Cluster, node: str) -> list[str]:
    """The beginning of a command that runs inside an isolated node."""
    require_isolated(cluster)
    first = _first_processes(cluster, node)
    if not first:
        raise DevclusterError(f"{node} is not running")
    return ["nsenter", f"--target={first[0].pid}", "--net", "--uts", "--pid", "--mount"]


def inside(cluster: Cluster, node: str, command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command as root inside an isolated node; its output is ours."""
    require_node(cluster, node)
    return subprocess.run([*_enter(cluster, node), *command], check=False)


def slurmd_of(cluster: Cluster, node: str) -> list[Process]:
    # Its slurmstepd bears the same mark until it has written its title.
    return [each for each in with_role(cluster, f"slurmd-{node}") if each.program.startswith("slurmd")]


def kill_slurmd(cluster: Cluster, node: str) -> None:
    """Kill the node's slurmd only: its jobs live on, unknown to the controller."""
    require_node(cluster, node)
    kill_all(lambda: [each.pid for each in slurmd_of(cluster, node)], f"slurmd of {node} has ended")


def power_off(cluster: Cluster, node: str) -> None:
    """Kill everything that runs on the node, in one moment where it is isolated."""
    require_node(cluster, node)
    roles = (f"node-{node}", f"slurmd-{node}")
    # With it the kernel ends the whole node at once. One process after another, a job that stands still would outlive
    # its slurmstepd: it would be sent SIGHUP, go on and write down that somebody stopped it.
    kill_all(lambda: [each.pid for each in _first_processes(cluster, node)], f"the first process of {node} has ended")
    kill_all(lambda: [each.pid for each in of_cluster(cluster) if each.role in roles], f"{node} has ended")
    cgroups.kill_jobs((node,))


def cut(cluster: Cluster, node: str) -> None:
    """Pull the node's network cable: it runs on, alone."""
    require_node(cluster, node)
    require_isolated(cluster)
    network.set_connected(cluster, node, is_connected=False)


def heal(cluster: Cluster, node: str) -> None:
    """Plug the node's network cable in again."""
    require_node(cluster, node)
    require_isolated(cluster)
    network.set_connected(cluster, node, is_connected=True)


def require_node(cluster: Cluster, node: str) -> None:
    if node not in cluster.nodes:
        raise DevclusterError(f"cluster {cluster.name} has no node {node!r}, but {', '.join(cluster.nodes)}")


def require_isolated(cluster: Cluster) -> None:
    if not cluster.is_isolated:
        raise DevclusterError(f"the nodes of {cluster.name} share this machine's network: bring it up with --isolated")
