"""Whether a container works, asked before anything is submitted: what is wrong is said now, not by the first job."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from jobs import runtimes
from jobs.container import MISSING, Container, ContainerConfig
from jobs.environment import variables
from jobs.runtimes import Runtime
from wavenet.errors import InputError, UsageError

_PROJECT = "wavenet-exploration"
_PATIENCE_SECONDS = 300.0  # an image on a slow file system, unpacked by a runtime that cannot mount it
_GPUS = ("/dev/nvidiactl", "/dev/kfd")
_PROBE = """
import json, os, runpy, sys
from importlib import metadata, util
from pathlib import Path
def number(path):
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
try:
    version = metadata.version(sys.argv[1]) if util.find_spec("jobs") else None
except metadata.PackageNotFoundError:
    version = None
torch = util.find_spec("torch")
kinds = runpy.run_path(str(Path(torch.origin).with_name("version.py"))) if torch else {}
print(json.dumps({
    "version": version,
    "numbers": [number(path) for path in sys.argv[3:]],
    "torch_has_gpus": bool(kinds.get("cuda") or kinds.get("hip")),
    "sees_gpus": any(map(os.path.exists, sys.argv[2].split(","))),
}))
"""
_ARCHITECTURE = re.compile(r"architecture \((\w+)\) could not run on the host's \((\w+)\)")
# ch-run lets a shell read what the kernel does not know, and that complains of the first bytes.
_FOREIGN = re.compile(r"exec format error|\x7fELF|: \d+: syntax error", re.IGNORECASE)
_NO_PYTHON = re.compile(r"no such file or directory|executable file .*not found|not found in|permission denied", re.I)


@cache
def check(container: Container) -> None:
    """Start the container once; with pyxis, which starts none outside of a job, see that it is there.

    Raises:
        UsageError: the runtime is not here, or a folder or GPU is not seen inside.
        InputError: the image is missing, unreadable, of another processor, or without this program.
    """
    config = container.config
    _require_runtime(config)
    _require_image(config)
    if config.runtime is Runtime.pyxis:
        return
    make_mount_points(container)
    answer = _started(container)
    _require_program(config, answer["version"])
    for path, number in zip(container.folders, answer["numbers"], strict=True):
        if number != path.stat().st_ino:
            raise UsageError(
                f"'{path}' is not seen in the container: add it to cluster.container.binds, take away a bind that "
                "lies over it, or move it to a folder that the site lets containers see"
            )
    if container.has_gpus:
        _require_gpus(config, answer)


def make_mount_points(container: Container) -> None:
    """Make the folders in the image that the runtime binds to and does not make itself.

    Raises:
        UsageError: they are not there, and the image is not the user's.
    """
    start = container.start()
    if not Path(start.image).is_dir():  # a file, which its runtime mounts
        return
    for folder in runtimes.mount_points(start):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the image {container.config.image!r} has no folder '/{folder.relative_to(start.image)}' to bind to, "
                f"and none can be made there ({error.strerror}): ask its owner, or unpack an image of your own"
            ) from error


def _require_runtime(config: ContainerConfig) -> None:
    program = config.runtime.program
    if shutil.which(program) is None:
        raise UsageError(
            f"cluster.container.runtime={config.runtime.value} takes {program}, which is not on this machine's PATH; "
            "where only the nodes have it, cluster.container.check=false submits without a look at the image"
        )
    if config.runtime is Runtime.pyxis:
        shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
        if "--container-image" not in shown.stdout:
            raise UsageError(
                "cluster.container.runtime=pyxis takes Slurm's plugin of that name, and srun here has no "
                "--container-image; valid are the runtimes that this site has"
            )


def _require_image(config: ContainerConfig) -> None:
    if fault := config.fault:
        remedy = "containers/build makes an image" if fault == MISSING else "chmod a+rX lets everybody"
        raise InputError(f"cluster.container.image={config.image!r} {fault}; {remedy}")


def _require_program(config: ContainerConfig, version: str | None) -> None:
    if version is None:
        raise InputError(
            f"the image {config.image!r} has {config.python}, but not this program; containers/build makes one that has"
        )
    own = metadata.version(_PROJECT)
    if version != own:
        raise InputError(
            f"the image {config.image!r} has version {version} of this program, and here is {own}: their jobs would "
            "not understand each other; build the image anew, or install its version here"
        )


def _require_gpus(config: ContainerConfig, answer: dict[str, Any]) -> None:
    if not answer["torch_has_gpus"]:
        raise InputError(
            f"the job asks for GPUs, and torch in the image {config.image!r} is for processors only; "
            "`containers/build --variant cuda` makes one with CUDA"
        )
    # A login node may have none itself.
    if any(Path(device).exists() for device in _GPUS) and not answer["sees_gpus"]:
        raise UsageError("no GPU is seen in the container, though the job asks for some: look at cluster.container.gpu")


def _started(container: Container) -> dict[str, Any]:
    """What the probe inside answers."""
    image, words = container.config.image, [*container.command(), container.config.python, "-c", _PROBE]
    known = variables([*runtimes.VARIABLES, *runtimes.OF_RUNTIMES], runtimes.OF_PEOPLE)
    arguments = [_PROJECT, ",".join(_GPUS), *map(str, container.folders)]
    try:
        done = subprocess.run(
            [*words, *arguments],
            env={**known, **container.settings()},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"the image {image!r} did not start within {_PATIENCE_SECONDS:g} s") from error
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    raise InputError(
        _reason(container.config, done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])
    )


def _reason(config: ContainerConfig, said: Sequence[str]) -> str:
    """One sentence for what a runtime says when it fails."""
    image, text = config.image, "\n".join(said)
    if found := _ARCHITECTURE.search(text):
        return f"the image {image!r} is for {found[1]} processors, and this machine's are {found[2]}"
    if _FOREIGN.search(text):
        return f"the image {image!r} is for other processors than this machine's, which are {platform.machine()}"
    if config.python in text and _NO_PYTHON.search(text):
        return (
            f"the image {image!r} has no {config.python}: it is not one of this program's (containers/build makes "
            "one), or cluster.container.python must say where its Python is"
        )
    return f"the image {image!r} cannot be started with {config.runtime.value}: {said[-1]}"
