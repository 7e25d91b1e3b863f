"""The folder that an image is built from: wheels, recipe, and what their arguments are.

Everything that needs an index, a compiler or a registry has happened when it is complete: it can be carried to a
machine that has none of them.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from containers import base as bases
from containers import cache
from containers.errors import BuildError
from containers.programs import run

PROJECT = Path(__file__).parents[1]
_RECIPE = ("install.sh", "describe.py", "check.py", "compile.py")
VARIANTS = ("cpu", "cuda")
LOCAL = "local"
SIF_ARGUMENTS, OCI_ARGUMENTS = "arguments", "arguments-oci"
_OWN = "wavenet_exploration-"


@dataclass(frozen=True)
class Wanted:
    """What an image is to be.

    Attributes:
        variant: cpu or cuda.
        base: the name of a public image, or ``local``.
        index: a further package index, such as one with torch for processors only; empty: pip's own settings.
    """

    variant: str
    base: str
    index: str = ""


def write(wanted: Wanted, target: Path, cache_folder: Path) -> None:
    """Fill the folder ``target``, which is there and empty.

    Raises:
        BuildError: something is lacking, or the index has not what is asked for.
    """
    recipe = target / "recipe"
    recipe.mkdir()
    for name in _RECIPE:
        shutil.copy(PROJECT / "containers" / name, recipe / name)
    for name in ("wavenet.def", "Containerfile"):
        shutil.copy(PROJECT / "containers" / name, target / name)
    make_wheels(wanted, target / "wheels", cache_folder)
    if wanted.base == LOCAL:
        shutil.copy(bases.local(cache_folder), target / "base.tar")
    _write_arguments(wanted, target)


def _write_arguments(wanted: Wanted, target: Path) -> None:
    """For each of the two recipes its own: Apptainer takes none that it does not know."""
    is_local = wanted.base == LOCAL
    common = {"VARIANT": wanted.variant, "VERSION": _version(target / "wheels"), "REVISION": _revision()}
    sif = {"BOOTSTRAP": "oci-archive", "BASE": "base.tar"} if is_local else {"BOOTSTRAP": "docker", "BASE": wanted.base}
    wheels = sorted((target / "wheels").iterdir())
    own, recipe = [path for path in wheels if path.name.startswith(_OWN)], sorted((target / "recipe").iterdir())
    needs = [*(path for path in wheels if path not in own), target / "recipe" / "install.sh"]
    oci = {
        "BASE": "oci-archive:base.tar" if is_local else wanted.base,
        "NEEDS": _digest(needs),
        "PROGRAM": _digest([*own, *recipe]),
    }
    for name, arguments in ((SIF_ARGUMENTS, sif), (OCI_ARGUMENTS, oci)):
        text = "".join(f"{each}={value}\n" for each, value in {**common, **arguments}.items())
        (target / name).write_text(text, encoding="utf-8")


def _digest(files: Sequence[Path]) -> str:
    return cache.digest_of(*(text for path in files for text in (path.name, path.read_bytes())))


def make_wheels(wanted: Wanted, target: Path, cache_folder: Path) -> None:
    """Put the project, all that it needs in the versions of the lock, and pip into ``target`` as wheels.

    Raises:
        BuildError: pip is lacking or fails, or the index has another torch than the variant's.
    """
    _wheel(["--no-deps", str(PROJECT)], target)
    own = next(target.glob("*.whl"))
    lock = (PROJECT / "constraints.txt").read_bytes()
    digest = cache.digest_of(lock, _needs(own), wanted.variant, wanted.index, sys.version, platform.machine())

    def make(place: Path) -> None:
        index = ["--extra-index-url", wanted.index] if wanted.index else []
        _wheel(["--constraint", str(PROJECT / "constraints.txt"), *index, "pip", str(own)], place)
        (place / own.name).unlink()
        _require_variant(place, wanted.variant)

    shutil.copytree(cache.kept(cache_folder, "wheels", digest, make), target, dirs_exist_ok=True)


def _wheel(words: list[str], target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        raise BuildError(f"wheels are gathered with pip, which {sys.executable} has not: apt-get install python3-pip")
    run([*pip, "wheel", "--quiet", "--wheel-dir", str(target), *words])


def _needs(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    return "\n".join(line for line in lines if line.startswith("Requires-Dist:"))


def _require_variant(wheels: Path, variant: str) -> None:
    has_cuda = any(path.name.startswith("nvidia_") for path in wheels.iterdir())
    if has_cuda != (variant == "cuda"):
        found = "with CUDA" if has_cuda else "for processors only"
        raise BuildError(
            f"the package index has torch {found}, and the variant is {variant}: "
            "--index names an index that has the other (pytorch.org, Get Started), --variant takes what is there"
        )


def _version(wheels: Path) -> str:
    return next(wheels.glob(f"{_OWN}*.whl")).name.split("-")[1]


def _revision() -> str:
    git = shutil.which("git")
    if not git or not (PROJECT / ".git").exists():
        return "unknown"
    return run(
        [git, "-C", str(PROJECT), "-c", "safe.directory=*", "describe", "--always", "--dirty", "--abbrev=40"]
    ).strip()
