"""Containers: a profile's section, the program's start in an image, and what of the machine it sees there."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from jobs import runtimes
from jobs.folders import absolute
from jobs.runtimes import Gpu, Runtime
from wavenet.errors import UsageError
from wavenet.settings import key

_SEPARATORS = ",:"  # of the runtimes' own lists of binds
MISSING = "is not there"
_KNOWING_NAMES = (Runtime.podman, Runtime.pyxis)


@dataclass(frozen=True)
class ContainerConfig:
    """The container section of a profile."""

    image: str = key("", "image in which every job runs; empty: jobs run as the program that submits them")
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

    @property
    def file(self) -> Path | None:
        """The image's file or folder; None where the runtime knows it by a name."""
        path = Path(self.image).expanduser()
        if "://" in self.image:
            return None
        if self.runtime in _KNOWING_NAMES and not self.image.startswith(("/", ".", "~")) and not os.path.lexists(path):
            return None
        return path.absolute()

    @property
    def fault(self) -> str:
        """What keeps you from the image's file or folder, as the rest of a sentence about it; empty if nothing does."""
        if (file := self.file) is None:
            return ""
        try:
            needed = os.R_OK | (os.X_OK if stat.S_ISDIR(file.stat().st_mode) else 0)
        except PermissionError:
            return "lies in a folder that you may not enter"
        except OSError:
            return MISSING
        return "" if os.access(file, needed) else "may not be read by you"


@dataclass(frozen=True)
class Container:
    """A container as one submission needs it.

    Attributes:
        folders: seen inside where they are outside.
        has_gpus: whether the job asks for GPUs.
        here: where the program is to be, inside as outside.
    """

    config: ContainerConfig
    folders: tuple[Path, ...]
    has_gpus: bool
    here: Path = field(default_factory=Path.cwd)

    def start(self) -> runtimes.Start:
        """What the runtime is asked for."""
        config, gpu = self.config, self.config.gpu
        if gpu is Gpu.auto:
            gpu = Gpu.nvidia if self.has_gpus else Gpu.none
        # Bound there, one above the program would hide it.
        above = Path(config.python).parents
        folders = _apart([path for path in self.folders if path not in above])
        binds = [*dict.fromkeys([*map(str, folders), *config.binds])]
        image = str(config.file or config.image)
        return runtimes.Start(config.runtime, image, binds, self.here, gpu, config.options)

    def command(self) -> list[str]:
        """The words before those of Python inside."""
        return runtimes.words(self.start())

    def python(self) -> str:
        """As the shell reads it: what is in the place of Python's path."""
        return shlex.join([*self.command(), self.config.python])

    def exported(self) -> str:
        """For the batch script: the variables that reach a container, as srun's option.

        The host's PYTHONPATH is none of them, and packages of the home folder stay out where it is seen.
        """
        beginnings, names = "|".join([*runtimes.VARIABLES, *runtimes.OF_RUNTIMES]), "|".join(runtimes.OF_PEOPLE)
        listed = f"compgen -e | grep -E '^({beginnings})|^({names})$' | paste -sd, -"
        return ",".join([f"$({listed})", *(f"{name}={value}" for name, value in self.settings().items())])

    def settings(self) -> dict[str, str]:
        """Variables that are set for the start."""
        asks_by_variable = self.config.runtime is Runtime.pyxis and self.start().gpu is Gpu.nvidia
        return {"PYTHONNOUSERSITE": "1", **({"NVIDIA_VISIBLE_DEVICES": "all"} if asks_by_variable else {})}


def container_of(config: ContainerConfig, arguments: Iterable[Any], folder: Path, *, has_gpus: bool) -> Container:
    """The container for tasks with these arguments.

    Args:
        arguments: every path in them is seen inside, as is the folder where the user is.
        folder: of the submission.

    Raises:
        UsageError: a path that cannot be bound.
    """
    paths = [folder.parent.parent, Path.cwd(), *_paths_in(tuple(arguments))]
    return Container(config, tuple(map(_bound, paths)), has_gpus)


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
    """The paths in arguments of a task, however deep, as seen from here; of words those that name something there."""
    if isinstance(value, Path) or (isinstance(value, str) and os.path.lexists(absolute(value))):
        yield absolute(value)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from _paths_in(getattr(value, one.name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _paths_in(each)
