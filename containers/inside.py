"""An image built by the root's Apptainer, as an ordinary user there: for machines that have none themselves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from containers.context import SIF_ARGUMENTS
from containers.programs import run
from slurm.devcluster import machine as machines

_CONTEXT = "/opt/context"
_USER = "builder"


# As small, in a fraction of the time, and quicker to read; but not by kernels before 4.14, as old clusters have them.
QUICK = ("--mksquashfs-args", "-comp zstd -Xcompression-level 1")


def build_sif(root: Path, context: Path, target: Path, options: tuple[str, ...] = ()) -> None:
    """Build the image of ``context`` in a machine made from ``root``.

    Args:
        options: further ones of ``apptainer build``.

    Raises:
        BuildError: the build failed.
        DevclusterError: the machine did not come up.
    """
    context.chmod(0o755)  # the user in there is not ours
    name = _free_name()
    machine = machines.boot(name, root, {context: Path(_CONTEXT)})
    try:
        run(machine.command(["useradd", "--create-home", _USER]))
        # Apptainer finds what the definition names from where it is started.
        start = ["bash", "-c", f'cd {_CONTEXT} && exec apptainer build "$@"', "bash"]
        all_options = ["--notest", "--build-arg-file", SIF_ARGUMENTS, *options]
        run(machine.command([*start, *all_options, f"/home/{_USER}/image.sif", "wavenet.def"], user=_USER))
        shutil.copyfile(machine.files / "home" / _USER / "image.sif", target)
    finally:
        machines.shut_down(name)


def _free_name() -> str:
    """Machines bear names of letters; these write the process id."""
    return "b" + "".join(chr(ord("a") + int(digit)) for digit in str(os.getpid()))
