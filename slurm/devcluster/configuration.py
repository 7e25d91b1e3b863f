"""The texts of Slurm's configuration files, as a university's cluster has them where that matters to a job."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from slurm.devcluster.record import Cluster


@dataclass(frozen=True)
class Partition:
    """One queue. `mode` and `grace` are what happens to its jobs when an urgent one needs their place."""

    name: str
    meaning: str
    mode: str = "REQUEUE"
    has_grace: bool = True
    tier: int = 1


PARTITIONS = (
    Partition("preemptible", "preempted jobs are requeued, after the grace time"),
    Partition("nograce", "preempted jobs are requeued, at once", has_grace=False),
    Partition("cancel", "preempted jobs are cancelled, after the grace time", mode="CANCEL"),
    Partition("nogracecancel", "preempted jobs are cancelled, at once", mode="CANCEL", has_grace=False),
    Partition("urgent", "preempts all of the others", mode="OFF", has_grace=False, tier=10),
)


def slurm_conf(cluster: Cluster) -> str:
    """The text of slurm.conf; the cluster's own settings take the place of ours."""
    lines = _settings(cluster) | _accounting(cluster)
    # Slurm takes the keys in any case; what it does with one that is there twice differs from key to key.
    known = {key.lower(): key for key in lines}
    for setting in cluster.settings:
        key, _, value = setting.partition("=")
        lines[known.get(key.lower(), key)] = value
    texts = [f"{key}={value}" for key, value in lines.items()]
    return "\n".join([*texts, _nodes(cluster), *(_partition(cluster, each) for each in PARTITIONS)]) + "\n"


def _settings(cluster: Cluster) -> dict[str, str]:
    return {
        "ClusterName": cluster.name,
        "SlurmctldHost": f"{socket.gethostname()}({cluster.address})",
        "SlurmctldPort": str(cluster.first_port),
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        # A requeued job is held for as long as credentials last, 120 s if nothing is said. Too short, and a launch on
        # a busy machine fails.
        "AuthInfo": f"socket={cluster.munge_socket},cred_expire=5",
        "SlurmUser": "slurm",
        "StateSaveLocation": f"{cluster.controller}/state",
        "SlurmctldPidFile": f"{cluster.controller}/slurmctld.pid",
        "SlurmctldLogFile": f"{cluster.controller}/slurmctld.log",
        "SlurmdSpoolDir": f"{cluster.of_node('%n')}/spool",
        "SlurmdPidFile": f"{cluster.of_node('%n')}/slurmd.pid",
        "SlurmdLogFile": f"{cluster.of_node('%n')}/slurmd.log",
        "MailProg": "/bin/true",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "JobRequeue": "1",
        # What real sites run; any other kind signals processes that a real cluster does not signal.
        "ProctrackType": "proctrack/cgroup",
        "TaskPlugin": "task/none",
        # Nodes may claim more processors than the machine has.
        "SlurmdParameters": "config_overrides",
        "KillWait": "8",
        "SlurmdTimeout": "30",
        # A node that comes back takes part again without an administrator.
        "ReturnToService": "2",
        "MinJobAge": "600",
        # The defaults, 60 and 30 s, are for clusters of thousands of jobs; here somebody waits for each one.
        "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0",
    }


def _accounting(cluster: Cluster) -> dict[str, str]:
    if not cluster.has_accounting:
        return {}
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": cluster.address,
        "AccountingStoragePort": str(cluster.database_port),
        "AccountingStoragePass": str(cluster.munge_socket),
        "JobAcctGatherType": "jobacct_gather/linux",
    }


def _nodes(cluster: Cluster) -> str:
    host = cluster.node_range if cluster.is_isolated else socket.gethostname()
    ports = cluster.node_ports
    addresses = [cluster.address_of(node) for node in cluster.nodes]
    if cluster.is_isolated:  # each has a network of its own, so they share the port
        where = f"NodeAddr={','.join(addresses)} Port={ports[0]}"
    else:
        where = f"NodeAddr={addresses[0]} Port={ports[0]}-{ports[-1]}" if len(ports) > 1 else f"Port={ports[0]}"
    return f"NodeName={cluster.node_range} NodeHostname={host} {where} CPUs={cluster.num_cpus} RealMemory=2000"


def _partition(cluster: Cluster, partition: Partition) -> str:
    default = " Default=YES" if partition is PARTITIONS[0] else ""
    grace = cluster.grace_seconds if partition.has_grace else 0
    return (
        f"PartitionName={partition.name} Nodes=ALL{default} PriorityTier={partition.tier} "
        f"PreemptMode={partition.mode} GraceTime={grace} DefaultTime=01:00:00 MaxTime=INFINITE"
    )


def slurmdbd_conf(cluster: Cluster) -> str:
    """The text of slurmdbd.conf. The database knows its user by the user id: there is no password to keep."""
    return "\n".join(
        [
            f"DbdHost={socket.gethostname()}",
            f"DbdAddr={cluster.address}",
            f"DbdPort={cluster.database_port}",
            "AuthType=auth/munge",
            f"AuthInfo=socket={cluster.munge_socket}",
            "SlurmUser=slurm",
            "StorageType=accounting_storage/mysql",
            "StorageHost=localhost",
            "StorageUser=slurm",
            f"LogFile={cluster.controller}/slurmdbd.log",
            f"PidFile={cluster.controller}/slurmdbd.pid",
            "",
        ]
    )


def hosts(cluster: Cluster) -> str:
    """The text of an isolated node's /etc/hosts: programs in a job look up their own name and their neighbours'."""
    lines = [f"127.0.0.1 localhost\n{cluster.address} {socket.gethostname()}"]
    return "\n".join([*lines, *(f"{cluster.address_of(node)} {node}" for node in cluster.nodes), ""])
