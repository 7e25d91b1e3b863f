"""The project where an ordinary user can read it.

Tests run as root, and root's interpreter and checkout may lie in folders that are closed to everybody else, such as
/root. They are mounted a second time, read-only, below a folder that is open: nothing is copied, no permission on the
machine is changed, and whoever removes that folder by mistake cannot touch what is mounted there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PREFIX = "wavenet-program-"


@dataclass(frozen=True)
class Program:
    """An environment like the tests' own, in `folder`; `variables` are what its programs need to be found."""

    folder: Path
    project: Path
    variables: dict[str, str]

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def wavenet(self) -> str:
        return str(self.folder / "bin" / "wavenet")


@contextmanager
def readable() -> Iterator[Program]:
    """As long as the block runs."""
    _sweep()
    with ExitStack() as ends:
        top = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/run"))
        ends.callback(top.rmdir)
        top.chmod(0o755)
        base = _opened(Path(sys.base_prefix), top / "python", ends)
        packages = _opened(Path(sysconfig.get_path("purelib")), top / "packages", ends)
        project = _opened(PROJECT, top / "project", ends)
        folder = top / "environment"
        _make_environment(folder, base, packages, project)
        ends.callback(subprocess.run, ["rm", "-r", "--one-file-system", str(folder)], check=True)
        path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        yield Program(folder, project, {"PATH": path, "LD_LIBRARY_PATH": str(base / "lib"), "OMP_NUM_THREADS": "1"})


def _sweep() -> None:
    """Remove what tests that were killed have left."""
    for top in Path("/run").glob(f"{PREFIX}*"):
        if Path("/proc", top.name.removeprefix(PREFIX).partition("-")[0]).exists():
            continue
        mounts = (line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines())
        for mount in mounts:
            if Path(mount).parent == top:
                subprocess.run(["umount", "--lazy", mount], check=True)
        subprocess.run(["rm", "-r", "--one-file-system", str(top)], check=True)


def _opened(place: Path, target: Path, ends: ExitStack) -> Path:
    """Where everybody can read what is at `place`."""
    if all(level.stat().st_mode & 0o5 == 0o5 for level in (place, *place.parents)):
        return place
    target.mkdir()
    ends.callback(target.rmdir)
    subprocess.run(["mount", "--bind", "-o", "ro", str(place), str(target)], check=True)
    # Nodes and their jobs are gone by now, but what they had open may close a moment later.
    ends.callback(subprocess.run, ["umount", "--lazy", str(target)], check=True)
    return target


def _make_environment(folder: Path, base: Path, packages: Path, project: Path) -> None:
    folder.mkdir()
    write_environment(folder, folder, base, packages, project)


def write_environment(folder: Path, place: Path, base: Path, packages: Path, project: Path) -> None:
    """What `python -m venv` would make, with the packages of the environment that is there already.

    Args:
        folder: where it is written.
        place: where it is used; the others are seen from there as well.
    """
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = folder / "lib" / name / "site-packages"
    for each in (folder / "bin", own):
        each.mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(base / "bin" / name)
    (folder / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n", encoding="utf-8")
    (own / "all.pth").write_text(f"{project}\n{packages}\n", encoding="utf-8")
    script = folder / "bin" / "wavenet"
    script.write_text(f"#!{place}/bin/python\nimport sys\nfrom jobs.cli import main\nsys.exit(main())\n", "utf-8")
    script.chmod(0o755)
    for each in (folder, *folder.rglob("*")):
        if not each.is_symlink():
            each.chmod(each.stat().st_mode | (0o55 if each.is_dir() else 0o44))
