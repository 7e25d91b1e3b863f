"""The images themselves, built from a context by whichever program is here."""

from __future__ import annotations

import shutil
from pathlib import Path

from containers.context import OCI_ARGUMENTS, SIF_ARGUMENTS
from containers.errors import BuildError
from containers.programs import run

_SIF_PROGRAMS = ("apptainer", "singularity")
_OCI_PROGRAMS = ("buildah", "podman")
_PRUNE = {"buildah": ("rmi", "--prune"), "podman": ("image", "prune", "--force")}
_TAG = "localhost/wavenet"


def sif_program() -> str:
    """Raises `BuildError` where there is none."""
    return _first_of(
        _SIF_PROGRAMS, f"apptainer build --notest --build-arg-file {SIF_ARGUMENTS} wavenet.sif wavenet.def"
    )


def oci_program() -> str:
    """Raises `BuildError` where there is none."""
    return _first_of(_OCI_PROGRAMS, f"podman build $(sed s/^/--build-arg=/ {OCI_ARGUMENTS}) --tag wavenet .")


def build_sif(program: str, context: Path, target: Path) -> None:
    """Build an image file for Apptainer and Singularity; the recipe has tested it before it is packed.

    Raises:
        BuildError: the build failed.
    """
    unfinished = target.with_name(f".{target.name}.part")
    options = ["--notest", "--force", "--build-arg-file", SIF_ARGUMENTS]
    try:
        run([program, "build", *options, str(unfinished), "wavenet.def"], context)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def build_oci(program: str, context: Path, target: Path, storage: Path | None = None) -> None:
    """Build an OCI archive, which podman and docker load.

    Args:
        storage: folder for the layers, of which those that have not changed are taken again; by default the user's own.

    Raises:
        BuildError: the build failed.
    """
    arguments = (context / OCI_ARGUMENTS).read_text("utf-8").splitlines()
    words = [program, *([] if storage is None else [f"--root={storage}"])]
    # What this takes of the machine, a machine inside another has as well.
    isolation = [] if storage is None else ["--isolation=chroot"]
    unfinished = target.with_name(f".{target.name}.part")
    try:
        known = [f"--build-arg={line}" for line in arguments]
        run([*words, "build", "--layers", *isolation, *known, "--tag", _TAG, "."], context)
        run([*words, "push", _TAG, f"oci-archive:{unfinished}"])
        unfinished.rename(target)
        if storage is not None:
            run([*words, *_PRUNE[Path(program).name]])  # layers that no image has any more
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
