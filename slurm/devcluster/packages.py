"""The distribution's packages: which ones are needed, and their installation without starting their services."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from slurm.devcluster import cgroups
from slurm.devcluster.commands import PATH, do

# Each program stands for the package that brings it.
PACKAGES = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge", "ip": "iproute2"}
PACKAGES_OF_ACCOUNTING = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
POLICY = Path("/usr/sbin/policy-rc.d")


def obstacle() -> str:
    """Why no cluster can be brought up on this machine, or nothing."""
    if os.geteuid():
        return "it takes root: Slurm starts jobs in the name of others"
    if not Path("/etc/debian_version").is_file():
        return "it takes Debian or a system made from it, whose slurmd serves many nodes on one machine"
    return cgroups.obstacle()


def missing(*, has_accounting: bool) -> list[str]:
    """The packages that are needed and not there."""
    needed = PACKAGES | (PACKAGES_OF_ACCOUNTING if has_accounting else {})
    return sorted({package for program, package in needed.items() if not shutil.which(program, path=PATH)})


def install(packages: list[str]) -> None:
    """Install packages; what runs afterwards is what ran before.

    Raises:
        DevclusterError: with apt's own last words.
    """
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    with _services_left_alone():
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            do(["apt-get", *options, *words], DEBIAN_FRONTEND="noninteractive")


@contextlib.contextmanager
def _services_left_alone() -> Iterator[None]:
    """Packages ask this program before they start a service; 101 says no."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
