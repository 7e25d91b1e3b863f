"""Whether a container works, asked before anything is submitted: what is wrong is said now, not by the first job."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jobs.container import Container
from wavenet.errors import InputError, UsageError

_PATIENCE_SECONDS = 300.0  # an image on a slow file system, unpacked by a runtime that cannot mount it
_PROBE = """
import json, os, sys
from importlib import metadata, util
try:
    version = metadata.version("wavenet-exploration")
except metadata.PackageNotFoundError:
    version = None
print(json.dumps({
    "version": version if util.find_spec("jobs") else None,
    "unseen": [path for path in sys.argv[1:] if not os.path.exists(path)],
    "has_gpu": any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd"))),
}))
"""
_ARCHITECTURE = re.compile(r"architecture \((\w+)\) could not run on the host's \((\w+)\)")
_NO_PYTHON = re.compile(r"no such file or directory|executable file not found|not found in|permission denied", re.I)


@cache
def check(container: Container) -> None:
    """Start the container once.

    Raises:
        UsageError: the runtime is not here, or a folder or GPU is not seen inside.
        InputError: the image is missing, unreadable, of another processor or without the program.
    """
    config = container.config
    image = Path(config.image).expanduser()
    if shutil.which(config.runtime.value) is None:
        raise UsageError(
            f"cluster.container.runtime={config.runtime.value} is not on this machine's PATH; where only the nodes "
            "have it, cluster.container.check=false submits without a look at the image"
        )
    if not image.exists():
        raise InputError(f"cluster.container.image={config.image!r} is not there; containers/build makes an image")
    if not os.access(image, os.R_OK):
        raise InputError(f"cluster.container.image={config.image!r} may not be read by you; chmod a+r lets everybody")
    words = [*container.command(), config.python, "-c", _PROBE, *map(str, container.folders)]
    answer = _started(words, container)
    if answer["version"] is None:
        raise InputError(
            f"the image {config.image!r} has {config.python}, but not this program; containers/build makes one that has"
        )
    if answer["unseen"]:
        raise UsageError(
            f"{answer['unseen'][0]!r} is not seen in the container; add it to cluster.container.binds, or move it to a "
            "folder that the site lets containers see"
        )
    if container.has_gpus and _has_gpu() and not answer["has_gpu"]:
        raise UsageError("no GPU is seen in the container, though the job asks for some: look at cluster.container.gpu")


def _started(words: Sequence[str], container: Container) -> dict[str, Any]:
    image = container.config.image
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"the image {image!r} did not start within {_PATIENCE_SECONDS:g} s") from error
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    if found := _ARCHITECTURE.search(done.stderr):
        raise InputError(f"the image {image!r} is for {found[1]} processors, and this machine's are {found[2]}")
    reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    if container.config.python in done.stderr and _NO_PYTHON.search(done.stderr):
        raise InputError(
            f"the image {image!r} has no {container.config.python}: it is not one of this program's "
            "(containers/build makes one), or cluster.container.python must say where its Python is"
        )
    raise InputError(f"the image {image!r} cannot be started with {container.config.runtime.value}: {reason}")


def _has_gpu() -> bool:
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd"))
