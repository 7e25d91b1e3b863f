"""The images themselves, built from a context by whichever program is here."""

from __future__ import annotations

import shutil
from pathlib import Path

from containers.errors import BuildError
from containers.programs import run

_SIF_PROGRAMS = ("apptainer", "singularity")
_OCI_PROGRAMS = ("podman", "buildah")


def build_sif(context: Path, target: Path) -> None:
    """Build an image file for Apptainer and Singularity, and run its test.

    Raises:
        BuildError: neither of them is here, or the build failed.
    """
    program = _first_of(_SIF_PROGRAMS, context, "apptainer build --build-arg-file arguments wavenet.sif wavenet.def")
    unfinished = target.with_name(f".{target.name}.part")
    try:
        run([program, "build", "--force", "--build-arg-file", "arguments", str(unfinished), "wavenet.def"], context)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def build_oci(context: Path, target: Path) -> None:
    """Build an OCI archive, which podman, docker and charliecloud load.

    Raises:
        BuildError: neither podman nor buildah is here, or the build failed.
    """
    program = _first_of(_OCI_PROGRAMS, context, "podman build --build-arg-file arguments --tag wavenet .")
    arguments = (context / "arguments").read_text("utf-8").replace("BASE=base.tar", "BASE=oci-archive:base.tar")
    words = [f"--build-arg={line}" for line in arguments.splitlines()]
    unfinished = target.with_name(f".{target.name}.part")
    try:
        run([program, "build", *words, "--tag", "localhost/wavenet", "."], context)
        run([program, "push", "localhost/wavenet", f"oci-archive:{unfinished}"])
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _first_of(programs: tuple[str, ...], context: Path, command: str) -> str:
    for program in programs:
        if found := shutil.which(program):
            return found
    raise BuildError(
        f"building this image takes {' or '.join(programs)}, and neither is on the PATH here; "
        f"`containers/build context FOLDER` makes a folder to take to where one is: {command}"
    )
