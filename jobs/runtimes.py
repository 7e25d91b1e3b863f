"""What starts a container, runtime by runtime: the words before those of the program inside."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class Runtime(enum.Enum):
    """What starts a container."""

    apptainer = "apptainer"
    singularity = "singularity"
    podman = "podman"
    charliecloud = "charliecloud"
    pyxis = "pyxis"

    @property
    def program(self) -> str:
        """What has to be on the PATH."""
        return {Runtime.charliecloud: "ch-run", Runtime.pyxis: "srun"}.get(self, self.value)


class Gpu(enum.Enum):
    """Whose driver is shown inside."""

    auto = "auto"
    nvidia = "nvidia"
    amd = "amd"
    none = "none"


VARIABLES = ("SLURM_", "WAVENET_", "SUBMITIT_", "CUDA_", "ROCR_", "NVIDIA_", "NCCL_", "GLOO_")
"""Beginnings of the names of what a job's program may know of its surroundings."""

OF_RUNTIMES = ("APPTAINER", "SINGULARITY", "CONTAINERS_", "CONTAINER_", "CH_", "ENROOT_", "PODMAN_", "XDG_RUNTIME_DIR")
"""Beginnings of the names of what the runtimes themselves read."""

OF_PEOPLE = ("HOME", "USER", "LOGNAME", "PATH", "LANG")
"""Names of what programs take for granted."""

_FROM_THE_HOST = ("/tmp", "/dev", "/proc", "/sys")  # noqa: S108 - shown as they are by charliecloud


@dataclass(frozen=True)
class Start:
    """What is to be started.

    Attributes:
        image: absolute path, or a name where the runtime knows names.
        binds: FROM or FROM:TO.
        folder: where the program is to be, as outside.
        gpu: never ``auto``.
    """

    runtime: Runtime
    image: str
    binds: Sequence[str]
    folder: Path
    gpu: Gpu
    options: Sequence[str]


def words(start: Start) -> list[str]:
    """Before those of the program inside. Of the user's home nothing is seen but what is bound."""
    return _WORDS[start.runtime](start)


def mount_points(start: Start) -> list[Path]:
    """Folders that have to be in the image because the runtime does not make them.

    Charliecloud shows an image read-only, and binds only to what is there.
    """
    if start.runtime is not Runtime.charliecloud:
        return []
    return [Path(start.image + bind.partition(":")[2]) for bind in _not_from_the_host(start.binds)]


def _apptainer(start: Start) -> list[str]:
    gpu = {Gpu.nvidia: ["--nv"], Gpu.amd: ["--rocm"]}.get(start.gpu, [])
    binds = [word for bind in start.binds for word in ("--bind", bind)]
    return [start.runtime.program, "exec", "--no-home", *gpu, *binds, *start.options, start.image]


def _podman(start: Start) -> list[str]:
    """Inside, the user is root, and whatever is written is the user's outside.

    Processes and hosts keep their numbers and names, which a run's ledger has.

    The user's name space comes from `unshare`. Podman would enter its own in a child: the process that gets the job's
    signals would end with 0 at the first one, and Slurm kill the program while it saves.
    """
    is_folder = Path(start.image).is_dir()
    shared = ["--pid=host", "--uts=host", "--network=host", "--volume=/dev/shm:/dev/shm"]
    kept = ["--read-only", "--security-opt=label=disable", "--log-driver=none"]
    gpu = {
        Gpu.nvidia: ["--device=nvidia.com/gpu=all"],
        Gpu.amd: ["--device=/dev/kfd", "--device=/dev/dri", "--group-add=keep-groups"],
    }.get(start.gpu, [])
    known = [f"--env={name}*" for name in VARIABLES] + ["--env=HOME", "--env=PYTHONNOUSERSITE=1"]
    binds = [f"--volume={_both(bind)}" for bind in start.binds]
    named = f"oci-archive:{start.image}" if start.image.startswith("/") else start.image
    return [
        *("sh", "-c", "; ".join([*(_PODMAN_PLACE if is_folder else _PODMAN_STORE), _PODMAN]), "podman"),
        # There is no service in a job that could be asked for a cgroup.
        *("--cgroup-manager=cgroupfs", "run", "--rm", "--entrypoint=[]", f"--workdir={start.folder}"),
        *(*shared, *kept, *gpu, *known, *binds, *start.options, *(["--rootfs", start.image] if is_folder else [named])),
    ]


_PODMAN_STORE = ('set -- --map-auto podman "$@"',)
"""The user's own, where images have files of several users."""

_PODMAN_PLACE = (
    "place=/tmp/podman-$(id -u)-$(uname -n)-",
    'for old in "$place"*; do kill -0 "${old#"$place"}" 2> /dev/null || rm -rf "$old"; done',
    "export XDG_RUNTIME_DIR=$place$$",
    'rm -rf "$XDG_RUNTIME_DIR" && mkdir -m 700 "$XDG_RUNTIME_DIR" || exit 1',
    'set -- podman --root="$XDG_RUNTIME_DIR/root" --runroot="$XDG_RUNTIME_DIR/run" --storage-driver=vfs "$@"',
)
"""A folder takes no store, and one of this process's own is not confused by jobs that were killed, here or elsewhere.

What it leaves is removed by the next one.
"""

_PODMAN = (
    "export _CONTAINERS_USERNS_CONFIGURED=done _CONTAINERS_ROOTLESS_UID=$(id -u) _CONTAINERS_ROOTLESS_GID=$(id -g); "
    'exec unshare --user --map-root-user --mount "$@"'
)


def _charliecloud(start: Start) -> list[str]:
    # GPUs are in /dev, which is the host's; `ch-fromhost` puts the driver into the image.
    binds = [f"--bind={_both(bind)}" for bind in _not_from_the_host(start.binds)]
    return ["ch-run", f"--cd={start.folder}", *binds, *start.options, start.image, "--"]


def _not_from_the_host(binds: Sequence[str]) -> list[str]:
    targets = ((bind, Path(_both(bind).partition(":")[2])) for bind in binds)
    return [_both(bind) for bind, target in targets if not any(target.is_relative_to(top) for top in _FROM_THE_HOST)]


def _pyxis(start: Start) -> list[str]:
    """Options of srun, which the plugin adds; GPUs are shown to who asks by a variable, `Container.settings`."""
    mounts = [f"--container-mounts={','.join(map(_both, start.binds))}"] if start.binds else []
    alone = ["--no-container-mount-home", "--no-container-remap-root", "--no-container-entrypoint"]
    return [f"--container-image={start.image}", f"--container-workdir={start.folder}", *alone, *mounts, *start.options]


def _both(bind: str) -> str:
    return bind if ":" in bind else f"{bind}:{bind}"


_WORDS: dict[Runtime, Callable[[Start], list[str]]] = {
    Runtime.apptainer: _apptainer,
    Runtime.singularity: _apptainer,
    Runtime.podman: _podman,
    Runtime.charliecloud: _charliecloud,
    Runtime.pyxis: _pyxis,
}
