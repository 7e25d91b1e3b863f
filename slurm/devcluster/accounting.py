"""Accounting: a database server of the cluster's own, slurmdbd, and the user's account."""

from __future__ import annotations

import shutil

from slurm.devcluster.commands import ask, do
from slurm.devcluster.processes import start, wait_for
from slurm.devcluster.record import Cluster

ACCOUNT = "research"


def start_database(cluster: Cluster) -> None:
    """MariaDB with a socket and no port."""
    folder = cluster.database
    folder.mkdir(mode=0o755)
    shutil.chown(folder, "mysql", "mysql")
    data = folder / "data"
    install = ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}", "--skip-test-db"]
    do([*install, "--auth-root-authentication-method=socket"])
    options = ["--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={_socket(cluster)}"]
    # Data that nobody will want after a crash need not reach the disk at each commit.
    options += ["--skip-networking", f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0"]
    start(cluster, "mariadbd", ["mariadbd", *options])
    ping = ["mariadb-admin", "--no-defaults", f"--socket={_socket(cluster)}", "ping"]
    wait_for(cluster, "mariadbd", lambda: not ask(ping).returncode)
    grant = "CREATE USER slurm@localhost IDENTIFIED VIA unix_socket; GRANT ALL ON *.* TO slurm@localhost"
    do(["mariadb", "--no-defaults", f"--socket={_socket(cluster)}", "--execute", grant])


def start_slurmdbd(cluster: Cluster) -> None:
    # The client library looks for a database on localhost at this variable's socket; slurmdbd.conf has no key for it.
    start(cluster, "slurmdbd", ["slurmdbd", "-D"], variables={"MYSQL_UNIX_PORT": _socket(cluster)})
    listed = ["sacctmgr", "--noheader", "list", "cluster"]
    wait_for(cluster, "slurmdbd", lambda: not ask(listed, cluster).returncode)


def add_user(cluster: Cluster) -> None:
    """Give the submitting user an account on this cluster."""
    for words in (
        ["cluster", cluster.name],
        ["account", ACCOUNT, f"cluster={cluster.name}"],
        ["user", cluster.user, f"account={ACCOUNT}", f"cluster={cluster.name}"],
    ):
        do(["sacctmgr", "--immediate", "--quiet", "add", *words], cluster)


def _socket(cluster: Cluster) -> str:
    return str(cluster.database / "socket")
