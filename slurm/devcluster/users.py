"""The ordinary user who submits."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from slurm.devcluster.commands import do, environment
from slurm.devcluster.processes import all_pids, kill_all
from slurm.devcluster.record import Cluster


def exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def add(name: str) -> None:
    do(["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", name])


def remove(name: str) -> None:
    """Remove a user that we made, with everything that is still running in that name, and the home folder."""
    if exists(name):
        uid = pwd.getpwnam(name).pw_uid
        kill_all(lambda: [pid for pid in all_pids() if _is_of(pid, uid)], f"all processes of {name} have ended")
        do(["userdel", "--remove", name])


def _is_of(pid: int, uid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    # A zombie is its parent's to collect and holds nothing.
    return fields["Uid"].split()[0] == str(uid) and not fields["State"].strip().startswith("Z")


def as_user(cluster: Cluster, **variables: str) -> dict[str, Any]:
    """The keywords of subprocess.run and Popen that make a process the submitting user's.

    It starts in the user's home, with the environment of a fresh login, SLURM_CONF and `variables`.
    """
    entry = pwd.getpwnam(cluster.user)
    login = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name, "SHELL": entry.pw_shell}
    return {
        "user": entry.pw_uid,
        "group": entry.pw_gid,
        "extra_groups": os.getgrouplist(entry.pw_name, entry.pw_gid),
        "cwd": entry.pw_dir,
        "env": {**environment(cluster), **login, **variables},
    }
