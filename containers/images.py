"""The images themselves, built from a context by whichever program is here."""

from __future__ import annotations

import shutil
from pathlib import Path

from containers.errors import BuildError
from containers.programs import run

_SIF_PROGRAMS = ("apptainer", "singularity")
_OCI_PROGRAMS = ("podman", "buildah")
_TAG = "localhost/wavenet"


def sif_program() -> str:
    """Raises `BuildError` where there is none."""
    return _first_of(_SIF_PROGRAMS, "apptainer build --notest --build-arg-file arguments wavenet.sif wavenet.def")


def oci_program() -> str:
    """Raises `BuildError` where there is none."""
    return _first_of(_OCI_PROGRAMS, "podman build --build-arg-file arguments --tag wavenet .")


def build_sif(program: str, context: Path, target: Path) -> None:
    """Build an image file for Apptainer and Singularity; the recipe has tested it before it is packed.

    Raises:
        BuildError: the build failed.
    """
    unfinished = target.with_name(f".{target.name}.part")
    options = ["--notest", "--force", "--build-arg-file", "arguments"]
    try:
        run([program, "build", *options, str(unfinished), "wavenet.def"], context)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def build_oci(program: str, context: Path, target: Path) -> None:
    """Build an OCI archive, which podman, docker and charliecloud load.

    Raises:
        BuildError: the build failed.
    """
    arguments = (context / "arguments").read_text("utf-8").replace("BASE=base.tar", "BASE=oci-archive:base.tar")
    words = [f"--build-arg={line}" for line in arguments.splitlines()]
    unfinished = target.with_name(f".{target.name}.part")
    try:
        run([program, "build", *words, "--tag", _TAG, "."], context)
        run([program, "push", _TAG, f"oci-archive:{unfinished}"])
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _first_of(programs: tuple[str, ...], command: str) -> str:
    for program in programs:
        if found := shutil.which(program):
            return found
    raise BuildError(
        f"building this image takes {' or '.join(programs)}, and neither is on the PATH here; "
        f"`containers/build context FOLDER` makes a folder to take to where one is: {command}"
    )
