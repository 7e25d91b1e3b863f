"""The command line."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

from slurm.devcluster import cluster as clusters
from slurm.devcluster import machine as machines
from slurm.devcluster import nodes, registry
from slurm.devcluster.configuration import PARTITIONS
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.processes import of_cluster
from slurm.devcluster.record import Cluster
from slurm.devcluster.users import as_user

COMMAND = "python3 slurm/devcluster"
NODE_VERBS = {
    "kill-slurmd": (nodes.kill_slurmd, "kill a node's slurmd; its jobs live on, unknown to the controller"),
    "power-off": (nodes.power_off, "kill everything on a node at once"),
    "start-node": (nodes.boot, "start a node again, or its slurmd alone"),
    "cut": (nodes.cut, "pull a node's network cable (needs --isolated)"),
    "heal": (nodes.heal, "plug it in again"),
}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run one verb; the exit code is 0, 1 for what went wrong, or the command's own."""
    options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments))
    try:
        machine = machines.find(options.name) if "name" in options and options.run is not _down else None
        return machine.ours(arguments) if machine else int(options.run(options))
    except DevclusterError as problem:
        sys.stderr.write(f"devcluster: {problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description="A real throwaway Slurm cluster on this machine.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="dev", help="which cluster; nodes are named after it (default: dev)")
    common.add_argument("--folder", type=Path, help="its folder (default: /tmp/devcluster-NAME)")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    parents = [common, _outside()]
    _add_up(verbs.add_parser("up", parents=parents, help="bring a cluster up and wait until its nodes are idle"))
    verbs.add_parser("down", parents=[common], help="remove it without a trace").set_defaults(run=_down)
    verbs.add_parser("status", help="all clusters on this machine").set_defaults(run=_status)
    user = verbs.add_parser("as-user", parents=[common], help="run a command as the submitting user")
    user.set_defaults(run=_as_user)
    node = verbs.add_parser("inside", parents=[common], help="run a command as root on a node (needs --isolated)")
    node.add_argument("node")
    node.set_defaults(run=_inside)
    for each in (user, node):
        each.add_argument("command", nargs=argparse.REMAINDER)
    for verb, (function, meaning) in NODE_VERBS.items():
        each = verbs.add_parser(verb, parents=[common], help=meaning)
        each.add_argument("node")
        each.set_defaults(run=_on_node, function=function)
    return parser


def _outside() -> argparse.ArgumentParser:
    """What is for this machine alone where the cluster is in one of its own."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--root", type=Path, help="a folder with a Debian to bring it up in, instead of this machine")
    parser.add_argument(
        "--bind",
        dest="binds",
        type=_pair,
        action="append",
        default=[],
        metavar="FROM:TO",
        help="a folder or file to be read in the root, again and again",
    )
    return parser


def _pair(text: str) -> tuple[Path, Path]:
    outside, _, inside = text.partition(":")
    if not (Path(outside).is_absolute() and Path(inside).is_absolute() and Path(outside).exists()):
        raise argparse.ArgumentTypeError(f"a bind is FROM:TO, absolute paths of which the first is there, not {text!r}")
    return Path(outside), Path(inside)


def _add_up(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nodes", dest="num_nodes", type=int, default=3, help="how many (default: %(default)s)")
    add("--cpus", dest="num_cpus", type=int, default=2, help="that each node claims to have (default: %(default)s)")
    add("--user", help="who submits; made, and removed by down, if not there (default: NAMEuser)")
    add("--grace", dest="grace_seconds", type=int, default=15, help="seconds of grace time (default: %(default)s)")
    add("--isolated", dest="is_isolated", action="store_true", help="nodes with a network and a host name of their own")
    add("--accounting", dest="has_accounting", action="store_true", help="with slurmdbd and MariaDB, for sacct")
    add(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any line of slurm.conf, again and again: MaxArraySize=21, JobRequeue=0, KillWait=30, …",
    )
    parser.set_defaults(run=_up)


def _up_in_a_root(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.name in {each.name for each in registry.registered()}:
        raise DevclusterError(f"cluster {options.name!r} is already there: `down` removes it, --name makes another")
    machine = machines.boot(options.name, options.root.absolute(), dict(options.binds))
    code = 1
    try:
        code = machine.ours(arguments)
    finally:
        if code:
            machines.shut_down(options.name)
    return code


def _up(options: argparse.Namespace) -> int:
    # Ended by a service manager or a time limit, it cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.root:
        return _up_in_a_root(options, _outside().parse_known_args(options.arguments)[1])
    start = time.monotonic()
    cluster = clusters.up(
        options.name,
        options.folder,
        options.user,
        say=say,
        num_nodes=options.num_nodes,
        num_cpus=options.num_cpus,
        grace_seconds=options.grace_seconds,
        is_isolated=options.is_isolated,
        has_accounting=options.has_accounting,
        settings=tuple(options.settings),
    )
    say(f"cluster {cluster.name} is up after {time.monotonic() - start:.1f} s: nodes {', '.join(cluster.nodes)}")
    for line in _how_to_use(cluster):
        say(f"  {line}")
    return 0


def _how_to_use(cluster: Cluster) -> list[str]:
    name = "" if cluster.name == "dev" else f" --name {cluster.name}"
    queues = [f"{each.name:<14}{each.meaning}" for each in PARTITIONS]
    return [
        f"configuration and logs   {cluster.folder}",
        f"submit as {cluster.user:<15}{COMMAND} as-user{name} sbatch ...",
        f"watch                    {COMMAND} as-user{name} squeue",
        f"take it down             {COMMAND} down{name}",
        f"partitions               {queues[0]}",
        *(f"{'':<25}{queue}" for queue in queues[1:]),
    ]


def _down(options: argparse.Namespace) -> int:
    if options.name in machines.names():
        machines.shut_down(options.name)
        say(f"cluster {options.name} is removed, and the machine that it was in")
        return 0
    cluster = registry.find(options.name, options.folder)
    clusters.down(cluster)
    say(f"cluster {cluster.name} is removed")
    return 0


def _status(_: argparse.Namespace) -> int:
    found = registry.registered()
    inside = [machine for name in machines.names() if (machine := machines.find(name))]
    if not found and not inside:
        say("no cluster is on this machine")
    for machine in inside:
        machine.ours(["status"])
    for cluster in found:
        roles = sorted({each.role for each in of_cluster(cluster)} - {""})
        states = clusters.states(cluster)
        said = ", ".join(f"{node} {state}" for node, state in states.items()) or "the controller does not answer"
        say(f"{cluster.name}: {said}; in {cluster.folder}; running: {', '.join(roles) or 'nothing'}")
    return 0


def _as_user(options: argparse.Namespace) -> int:
    command = options.command or ["bash", "--login"]
    cluster = registry.find(options.name, options.folder)
    return subprocess.run(command, check=False, **as_user(cluster)).returncode


def _inside(options: argparse.Namespace) -> int:
    cluster = registry.find(options.name, options.folder)
    return nodes.inside(cluster, options.node, options.command or ["bash"]).returncode


def _on_node(options: argparse.Namespace) -> int:
    cluster = registry.find(options.name, options.folder)
    options.function(cluster, options.node)
    say(f"{options.node}: done")
    return 0
