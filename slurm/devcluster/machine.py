"""A machine inside this one, with the root of another Debian: its Slurm, its users, its processes and its network.

A cluster is brought up inside it as on any other machine. It shares the kernel, the processors and the cgroups, and
reaches nothing outside.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster import cgroups
from slurm.devcluster.commands import PATH
from slurm.devcluster.errors import DevclusterError
from slurm.devcluster.processes import all_pids, kill_all, number_inside, wait_until

FOLDER = Path("/run/devcluster-machines")
FIRST_PROCESS = Path(__file__).with_name("machine.sh")
MARK = "DEVCLUSTER_MACHINE"
OURS = "/opt/devcluster"
"""Where a machine finds this package."""


@dataclass(frozen=True)
class Machine:
    """A running machine; ``pid`` is its first process as numbered here."""

    name: str
    pid: int

    @property
    def files(self) -> Path:
        """Its files, as seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def command(self, words: list[str], user: str = "root", variables: Mapping[str, str] | None = None) -> list[str]:
        """The words that run a command inside, as ``user``, who has no variable from here and starts at home."""
        home = self._home(user)
        login = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash"}
        settings = [f"{name}={value}" for name, value in {**login, **(variables or {})}.items()]
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--net", "--pid", "--ipc", "--root"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        # Looked up and entered inside, as the user: from here it may not be there.
        at_home = ["env", "-i", f"--chdir={home}", *settings]
        return [*enter, "--wd=/", *([] if user == "root" else become), *at_home, *words]

    def ours(self, arguments: list[str]) -> int:
        """Run this package's own command line inside; its output is ours."""
        command = self.command(["python3", "-m", "slurm.devcluster", *arguments], variables={"PYTHONPATH": OURS})
        return subprocess.run(command, check=False).returncode

    def _home(self, user: str) -> str:
        for line in (self.files / "etc" / "passwd").read_text("utf-8").splitlines():
            if line.startswith(f"{user}:"):
                return line.split(":")[5]
        raise DevclusterError(f"machine {self.name} has no user {user!r}")


def boot(name: str, root: Path, binds: Mapping[Path, Path] | None = None) -> Machine:
    """Start a machine.

    Args:
        name: as of a cluster; two of one name would mix up their nodes.
        root: folder with a Debian that has Slurm; it is not written to.
        binds: folders and files from here, to be read at these places inside.

    Raises:
        DevclusterError: it did not start, and why.
    """
    if os.geteuid():
        raise DevclusterError("no machine can be started here: it takes root, to mount another one")
    if not (root / "usr" / "sbin" / "slurmd").exists():
        raise DevclusterError(
            f"{root} holds no Debian with Slurm: containers/build root makes one and says where it is"
        )
    FOLDER.mkdir(exist_ok=True)
    folder = FOLDER / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise DevclusterError(f"machine {name!r} is already there: `down` removes it") from None
    binds = {**(binds or {}), Path(__file__).parents[1]: Path(OURS, "slurm")}
    places = [str(path) for pair in binds.items() for path in pair]
    try:
        _start(name, [str(root), str(folder), *places])
        return wait_until(
            lambda: _ready(name), f"machine {name} is up", 30, lambda: f": {_said(name).read_text('utf-8')}"
        )
    except BaseException:
        shut_down(name)
        raise


def _start(name: str, arguments: list[str]) -> None:
    spaces = ["--mount", "--propagation=private", "--uts", "--net", "--ipc", "--pid", "--fork", "--kill-child"]
    with _said(name).open("wb") as output:
        subprocess.run(
            ["setsid", "--fork", "unshare", *spaces, "bash", str(FIRST_PROCESS), name, *arguments],  # noqa: S607 - as PATH has them
            check=True,
            cwd="/",
            env={"PATH": PATH, "LANG": "C.UTF-8", MARK: name},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _ready(name: str) -> Machine | None:
    if _said(name).stat().st_size:  # it says nothing unless it fails
        raise DevclusterError(f"machine {name} did not come up: {_said(name).read_text('utf-8').strip()}")
    machine = find(name)
    return machine if machine and (machine.files / "run" / "machine").exists() else None


def _said(name: str) -> Path:
    return FOLDER / f"{name}.output"


def names() -> list[str]:
    """Of all machines that were started and not shut down."""
    return sorted(path.name for path in FOLDER.glob("*") if path.is_dir())


def find(name: str) -> Machine | None:
    """The machine of this name, if it runs; not the one that we are in ourselves."""
    first = [pid for pid in _processes(name) if number_inside(pid) == 1 != pid]
    return Machine(name, first[0]) if first else None


def _processes(name: str) -> list[int]:
    """The first process and the one that started it; what else runs there has no such mark and ends with the first."""
    mark = f"{MARK}={name}".encode()
    return [pid for pid in all_pids() if mark in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended meanwhile
        return []


def shut_down(name: str) -> None:
    """End everything in it, in one moment, and leave nothing of it."""
    kill_all(lambda: _processes(name), f"machine {name} has ended")
    # What is left of a cluster that was not taken down before.
    nodes = (f"{name}[0-9]*",)
    cgroups.kill_jobs(nodes)
    cgroups.remove(nodes)
    if (FOLDER / name).exists():
        (FOLDER / name).rmdir()
    _said(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other machines are there, or it is gone already
        FOLDER.rmdir()
