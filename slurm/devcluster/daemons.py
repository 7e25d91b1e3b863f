"""Munge and the controller."""

from __future__ import annotations

import os
import shutil

from slurm.devcluster import nodes
from slurm.devcluster.cgroups import configuration as cgroup_conf
from slurm.devcluster.commands import ask
from slurm.devcluster.configuration import hosts, slurm_conf, slurmdbd_conf
from slurm.devcluster.processes import start, wait_for
from slurm.devcluster.record import Cluster


def write_files(cluster: Cluster) -> None:
    """Make the folders, each owned by the one who writes there, and the configuration."""
    cluster.output.mkdir(mode=0o755)
    for folder, owner in ((cluster.munge, "munge"), (cluster.controller, "slurm")):
        folder.mkdir(mode=0o755)
        shutil.chown(folder, owner, owner)
    for node in cluster.nodes:
        nodes.make_folder(cluster, node)
    _write(cluster, "slurm.conf", slurm_conf(cluster))
    _write(cluster, "cgroup.conf", cgroup_conf())
    _write(cluster, "hosts", hosts(cluster))
    if cluster.has_accounting:
        # slurmdbd refuses a configuration that others may read or that another owns.
        _write(cluster, "slurmdbd.conf", slurmdbd_conf(cluster), mode=0o600)
        shutil.chown(cluster.folder / "slurmdbd.conf", "slurm", "slurm")


def _write(cluster: Cluster, name: str, text: str, mode: int = 0o644) -> None:
    path = cluster.folder / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def start_munge(cluster: Cluster) -> None:
    """A munge of the cluster's own, with its own key: nobody else's credentials are good here."""
    key = cluster.munge / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    shutil.chown(key, "munge", "munge")
    command = ["munged", "--foreground", f"--socket={cluster.munge_socket}", f"--key-file={key}"]
    command += [f"--{kind}-file={cluster.munge / kind}" for kind in ("pid", "seed")]
    start(cluster, "munged", command, user="munge")
    wait_for(cluster, "munged", lambda: _munge_answers(cluster))


def _munge_answers(cluster: Cluster) -> bool:
    command = ["munge", "--no-input", f"--socket={cluster.munge_socket}"]
    return ask(command).returncode == 0


def start_controller(cluster: Cluster) -> None:
    start(cluster, "slurmctld", ["slurmctld", "-D", "-f", str(cluster.slurm_conf)])
