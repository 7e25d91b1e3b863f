"""The root: a Debian newer than this machine's, with a recent Slurm and Apptainer, to bring clusters up in."""

from __future__ import annotations

import os
from pathlib import Path

from containers import cache, debian
from containers.errors import BuildError

RECIPE = debian.Recipe(
    suite="trixie",
    packages=(
        "ca-certificates",
        "e2fsprogs",
        "fuse-overlayfs",
        "fuse2fs",
        "fuse3",
        "iproute2",
        "munge",
        "procps",
        "python3",
        "python3-venv",
        "slurm-client",
        "slurm-wlm",
        "squashfs-tools",
        "squashfuse",
        "uidmap",
    ),
    variant="apt",
    # Apptainer has left Debian's stable suites.
    later_suite="sid",
    later_packages=("apptainer",),
)


def obstacle() -> str:
    """Why no root can be made or entered on this machine, or nothing."""
    if os.geteuid():
        return "it takes root: a Debian holds files of several users"
    if not Path("/etc/debian_version").is_file():
        return "it takes Debian, whose apt knows where the packages are"
    return ""


def root(folder: Path) -> Path:
    """The root in the cache ``folder``, made if it is not there.

    Raises:
        BuildError: it cannot be made here, and why.
    """
    if reason := obstacle():
        raise BuildError(f"no root can be made here: {reason}")
    return cache.kept(folder, "root", cache.digest_of(repr(RECIPE)), _make) / "files"


def _make(place: Path) -> None:
    # Below a folder that only its owner may enter: a root holds programs with the setuid bit.
    place.chmod(0o700)
    debian.bootstrap(RECIPE, place / "files")
