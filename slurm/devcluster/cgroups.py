"""The control groups in which Slurm's process tracking keeps jobs, version 1 or 2, whichever the machine has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.processes import kill_all, wait_until

ROOT = Path("/sys/fs/cgroup")
SLICE = ROOT / "system.slice"


def version() -> int:
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def obstacle() -> str:
    """Why process tracking by cgroups cannot work here, or nothing."""
    place = ROOT if version() == 2 else ROOT / "freezer"
    if not place.is_dir():
        return f"there are no cgroups at {place}"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{place} is mounted read-only, as in a container"
    return ""


def configuration() -> str:
    """The text of cgroup.conf."""
    if version() == 1:
        return "CgroupPlugin=cgroup/v1\nConstrainRAMSpace=yes\n"
    # Without systemd's leave Slurm makes the groups itself, and under IgnoreSystemd it enables the controllers only
    # if told to mount.
    return "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\nCgroupAutomount=yes\nConstrainRAMSpace=yes\n"


def prepare() -> None:
    """Make what Slurm expects systemd to have made."""
    if version() == 2:
        SLICE.mkdir(exist_ok=True)


def of_node(node: str) -> list[Path]:
    """The top groups of a node's jobs, one in each hierarchy."""
    return [*ROOT.glob(f"*/slurm_{node}"), *ROOT.glob(f"system.slice/{node}_slurmstepd.scope")]


def pids_in(groups: list[Path]) -> list[int]:
    """The processes in these groups and those beneath."""
    found = []
    for group in groups:
        for path in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # the group has ended meanwhile
                found += [int(pid) for pid in path.read_text(encoding="ascii").split()]
    return found


def kill_jobs(nodes: tuple[str, ...]) -> None:
    """Kill every process of every job on these nodes."""

    def find() -> list[int]:
        groups = [group for node in nodes for group in of_node(node)]
        _thaw(groups)
        return pids_in(groups)

    kill_all(find, f"the jobs of {nodes[0]} to {nodes[-1]} have ended")


def _thaw(groups: list[Path]) -> None:
    """Slurm freezes a step while it signals it; killed at that moment, it leaves processes that no signal reaches."""
    for group in groups:
        for path in group.rglob("freezer.state"):
            with contextlib.suppress(OSError):
                path.write_text("THAWED", encoding="ascii")


def remove(nodes: tuple[str, ...]) -> None:
    """Remove the emptied groups; the last process may still be on its way out.

    Raises:
        DevclusterError: one is still in use.
    """
    groups = [group for node in nodes for group in of_node(node)]
    wait_until(lambda: all(_is_removed(group) for group in groups), f"the cgroups of {nodes[0]} can be removed", 10)
    if version() == 2 and not Path("/run/systemd/system").exists():
        with contextlib.suppress(OSError):  # another cluster's groups are in it
            SLICE.rmdir()


def _is_removed(group: Path) -> bool:
    if not group.exists():
        return True
    try:
        for path in sorted(group.rglob("*/"), reverse=True):  # the deepest first
            if path.is_dir():
                path.rmdir()
        group.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def require() -> None:
    if reason := obstacle():
        raise DevclusterError(f"process tracking by cgroups does not work here: {reason}")
