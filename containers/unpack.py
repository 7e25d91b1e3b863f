"""An OCI archive as a plain folder, for runtimes that start one: charliecloud, and podman with ``--rootfs``.

It takes neither root nor a program beside Python: what devices and owners are in the archive is left out.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from containers.errors import BuildError

_HIDES, _HIDES_ALL = ".wh.", ".wh..wh..opq"
# What runtimes mount over or look for, and may not make.
_FOLDERS = ("etc", "dev", "proc", "sys", "tmp", "home", "run", *(f"mnt/{digit}" for digit in range(10)))
_MOUNTS = "etc/mtab"
_FILES = ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf")
# Python 3.11.2, which Debian 12 has, knows no filters; where there are some, ours has looked at everything already.
_UNFILTERED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}


class _Layer(tarfile.TarFile):
    """All that is extracted from it belongs to whoever does it."""

    def chown(self, *_: object, **__: object) -> None:
        """Owners in an image are numbers that mean nothing here."""


def unpack(archive: Path, target: Path) -> None:
    """Make the folder ``target``, whole or not at all.

    Raises:
        BuildError: the archive is not there, or none.
    """
    unfinished = target.with_name(f".{target.name}.part")
    if unfinished.exists():
        _remove(unfinished)
    unfinished.mkdir(mode=0o755)
    try:
        with _opened(archive) as files:
            for layer in _layers(files):
                with _Layer.open(fileobj=files.extractfile(layer), mode="r|*") as content:
                    content.extractall(unfinished, _members(content, unfinished), **_UNFILTERED)  # noqa: S202 - by us
        for name in _FOLDERS:
            (unfinished / name).mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (unfinished / name).touch()
        if not (unfinished / _MOUNTS).is_symlink():
            (unfinished / _MOUNTS).symlink_to("../proc/self/mounts")
        unfinished.rename(target)
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise BuildError(f"{archive} cannot be unpacked as an OCI archive: {error}") from error
    finally:
        if unfinished.exists():
            _remove(unfinished)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    with tarfile.open(archive) as files:
        yield files


def _layers(files: tarfile.TarFile) -> list[str]:
    """The layers of the only image, the lowest first, as they are named in the archive."""

    def read(name: str) -> dict[str, Any]:
        member = files.extractfile(name)
        if member is None:
            raise ValueError(f"{name} is no file")
        content: dict[str, Any] = json.load(member)
        return content

    manifest = read(_place(read("index.json")["manifests"][0]))
    return [_place(layer) for layer in manifest["layers"]]


def _place(entry: dict[str, Any]) -> str:
    return f"blobs/{entry['digest'].replace(':', '/')}"


def _members(layer: tarfile.TarFile, target: Path) -> Iterator[tarfile.TarInfo]:
    """Those to extract; what the layer hides of the ones below, or puts in its place, is removed on the way."""
    for member in layer:
        place = target / member.name
        # Removing, writing and changing a folder's mode follow links.
        _require_inside(place if member.isdir() else place.parent, target, member)
        if member.islnk():
            _require_inside((target / member.linkname).parent, target, member)
        if place.name == _HIDES_ALL:
            for hidden in place.parent.iterdir():
                _remove(hidden)
        elif place.name.startswith(_HIDES):
            _remove(place.with_name(place.name.removeprefix(_HIDES)))
        elif not (member.ischr() or member.isblk() or member.isfifo()):
            # Written into, it would change what is linked to it.
            if not member.isdir() and (place.is_symlink() or place.exists()):
                _remove(place)
            member.mode &= 0o755
            yield member


def _require_inside(place: Path, target: Path, member: tarfile.TarInfo) -> None:
    if not place.resolve().is_relative_to(target.resolve()):
        raise ValueError(f"{member.name} leads out of it")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
