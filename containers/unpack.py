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
                with tarfile.open(fileobj=files.extractfile(layer), mode="r|*") as content:
                    content.extractall(unfinished, _members(content, unfinished), filter=_plain)  # noqa: S202 - filtered
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
        # Removing follows links as well as writing, which the filter watches.
        if place != target and not place.parent.resolve().is_relative_to(target.resolve()):
            raise ValueError(f"{member.name} leads out of it")
        if place.name == _HIDES_ALL:
            for hidden in place.parent.iterdir():
                _remove(hidden)
        elif place.name.startswith(_HIDES):
            _remove(place.with_name(place.name.removeprefix(_HIDES)))
        elif not (member.ischr() or member.isblk() or member.isfifo()):
            # Written into, it would change what is linked to it.
            if not member.isdir() and (place.is_symlink() or place.exists()):
                _remove(place)
            yield member


def _plain(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    """As the safe filter of Python has it, with links that are absolute: their root is the folder."""
    if member.issym():
        return member.replace(uid=None, gid=None, uname=None, gname=None, deep=False)  # type: ignore[arg-type]  # None: of nobody's
    return tarfile.tar_filter(member, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
