"""Containers: the words that start a job's Python inside an image, and what of the machine it sees there."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from wavenet.errors import UsageError
from wavenet.settings import key

_SEPARATORS = ",:"  # of the runtimes' own lists of binds
_VARIABLES = "SLURM|WAVENET|SUBMITIT|CUDA|ROCR|NCCL|GLOO|APPTAINER|SINGULARITY"
"""Beginnings of the names of what a job's program may know of its surroundings."""


class Runtime(enum.Enum):
    """What starts a container."""

    apptainer = "apptainer"
    singularity = "singularity"


class Gpu(enum.Enum):
    """Whose driver is shown inside."""

    auto = "auto"
    nvidia = "nvidia"
    amd = "amd"
    none = "none"


@dataclass(frozen=True)
class ContainerConfig:
    """The container section of a profile."""

    image: str = key("", "image file in which every job runs; empty: jobs run as the program that submits them")
    runtime: Runtime = key(Runtime.apptainer, "what starts it")
    python: str = key("/opt/wavenet/bin/python", "Python inside the image that has the program")
    binds: tuple[str, ...] = key((), "further folders to be seen inside, as FROM or FROM:TO")
    gpu: Gpu = key(Gpu.auto, "whose driver is shown inside; auto: NVIDIA's where the job asks for GPUs")
    options: tuple[str, ...] = key((), "further options of the runtime")
    check: bool = key(True, "start the container once before anything is submitted, to see that it works")

    def __post_init__(self) -> None:
        for bind in self.binds:
            if not all(place.startswith("/") for place in bind.split(":", 1)) or "," in bind:
                raise UsageError(
                    f"cluster.container.binds must hold absolute paths as FROM or FROM:TO, without commas; got {bind!r}"
                )


@dataclass(frozen=True)
class Container:
    """A container as one submission needs it: ``folders`` are seen inside where they are outside."""

    config: ContainerConfig
    folders: tuple[Path, ...]
    has_gpus: bool

    def command(self) -> list[str]:
        """The words before those of Python inside.

        Nothing of the user's home is seen but what is named: packages that lie there are another Python's.
        """
        binds = [*dict.fromkeys([*map(str, _apart(self.folders)), *self.config.binds])]
        words = [self.config.runtime.value, "exec", "--no-home", *self._gpu_options()]
        for bind in binds:
            words += ["--bind", bind]
        return [*words, *self.config.options, str(Path(self.config.image).expanduser().absolute())]

    def python(self) -> str:
        """As the shell reads it: what is in the place of Python's path."""
        return shlex.join([*self.command(), self.config.python])

    def _gpu_options(self) -> list[str]:
        gpu = self.config.gpu
        if gpu is Gpu.auto:
            gpu = Gpu.nvidia if self.has_gpus else Gpu.none
        return {Gpu.nvidia: ["--nv"], Gpu.amd: ["--rocm"], Gpu.none: []}[gpu]


EXPORTED = f"\"$(compgen -e | grep -E '^({_VARIABLES})_|^(HOME|USER|LOGNAME|PATH|LANG)$' | paste -sd, -)\""
"""For the batch script: the variables that reach a container, by name. The host's PYTHONPATH is none of them."""


def container_of(config: ContainerConfig, arguments: Iterable[Any], folder: Path, *, has_gpus: bool) -> Container:
    """The container for tasks with these arguments.

    Args:
        arguments: every path in them is seen inside, as is the folder where the user is.
        folder: of the submission.

    Raises:
        UsageError: a path that cannot be bound.
    """
    paths = [folder.parent.parent, Path.cwd(), *_paths_in(tuple(arguments))]
    # Bound there, one above the program would hide it.
    above = Path(config.python).parents
    return Container(config, tuple(found for path in paths if (found := _bound(path)) not in above), has_gpus)


def _bound(path: Path) -> Path:
    """The path itself or, where it is not made yet, the first folder above it that is there."""
    while not path.exists():
        path = path.parent
    if any(sign in str(path) for sign in _SEPARATORS):
        raise UsageError(f"{str(path)!r} cannot be seen in a container: its name holds a colon or a comma; rename it")
    return path


def _apart(folders: Sequence[Path]) -> list[Path]:
    """Each by its own name and by where links lead, without those that are seen in another anyway."""
    every = dict.fromkeys(path for folder in folders for path in (folder.resolve(), folder.absolute()))
    return [path for path in every if not any(other in path.parents for other in every)]


def _paths_in(value: Any) -> Iterator[Path]:
    """The absolute paths in arguments of a task, however deep, and relative ones as seen from here."""
    if isinstance(value, Path):
        yield value.absolute()
    elif isinstance(value, str) and value.startswith("/") and Path(value).exists():
        yield Path(value)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _paths_in(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _paths_in(each)
