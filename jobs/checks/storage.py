"""Whether a folder's file system does what runs rely on: hard links, atomic renames, fsync, locks, HDF5, room."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.checks.finding import Finding, Group
from jobs.folders import shown

NEEDED_BYTES = 256 * 2**20
"""A checkpoint of the larger presets with the optimiser's moments, while the one before it is still there."""
COMFORTABLE_BYTES = 5 * 2**30
_RESERVED_BYTES = 64 * 2**20
_NEEDED_FILES = 1_000
_ELSEWHERE = "put it on another file system with root=, run= or data=; local disks, NFS and Lustre will do"
_MORE_ROOM = "free some space, ask for more quota, or put it elsewhere with root=, run= or data="


def examine(folder: Path, group: Group) -> list[Finding]:
    """Try out in a folder of its own, gone afterwards, what runs do in ``folder``, or will do once it is made."""
    place = nearest(folder)
    if not place.is_dir():
        found = f"{shown(folder)} cannot be made, for {shown(place)} is a file"
        return [group.problem("write", found, "choose another folder with root=, run= or data=")]
    findings = [_room(place, group), _files(place, group), _umask(place, group), *_kind(place, group)]
    try:
        with _own_folder(place) as own:
            findings.append(group.ok("write", f"{shown(folder)} can be written"))
            findings += [probe(own, group) for probe in _PROBES]
    except OSError as error:
        remedy = _MORE_ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose a folder that you may write to"
        findings.append(group.problem("write", f"{shown(folder)} cannot be written: {_words(error)}", remedy))
    return findings


def nearest(folder: Path) -> Path:
    """``folder``, or what is above it that is there."""
    return next(level for level in (folder, *folder.parents) if os.path.lexists(level))


@contextmanager
def _own_folder(place: Path) -> Iterator[Path]:
    own = Path(tempfile.mkdtemp(prefix=".wavenet-doctor-", dir=place))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _link(own: Path, group: Group) -> Finding:
    """Of two starts at once exactly one gets the run: a claim is a hard link to a numbered name."""
    file, name = own / "link", own / "linked"
    try:
        file.write_text("1", "utf-8")
        os.link(file, name)
        if not name.samefile(file):
            return group.problem("hard link", "a hard link is another file here", _ELSEWHERE)
    except OSError as error:
        return group.problem("hard link", f"hard links do not work here: {_words(error)}", _ELSEWHERE)
    try:
        os.link(file, name)
    except FileExistsError:
        return group.ok("hard link", "hard links work, and a name that is taken is refused")
    except OSError as error:
        return group.problem("hard link", f"a name that is taken is refused wrongly: {_words(error)}", _ELSEWHERE)
    return group.problem("hard link", "a second hard link may take a name that is taken", _ELSEWHERE)


def _rename(own: Path, group: Group) -> Finding:
    """Checkpoints and clips become visible by a rename."""
    try:
        old, new = own / "old", own / "new"
        old.write_text("old", "utf-8")
        new.write_text("new", "utf-8")
        new.replace(old)
        (own / "folder").mkdir()
        (own / "folder").rename(own / "renamed")
    except OSError as error:
        return group.problem("rename", f"a file cannot take another's place: {_words(error)}", _ELSEWHERE)
    return group.ok("rename", "a file takes another's place in one step")


def _fsync(own: Path, group: Group) -> Finding:
    """What is committed must survive a power cut."""
    try:
        for path, flags in ((own, os.O_RDONLY | os.O_DIRECTORY), (own / "synced", os.O_WRONLY | os.O_CREAT)):
            descriptor = os.open(path, flags)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        return group.problem("fsync", f"fsync of a file or a folder fails: {_words(error)}", _ELSEWHERE)
    return group.ok("fsync", "fsync of files and folders works")


def _lock(own: Path, group: Group) -> Finding:
    """Two commands at one prompt are kept apart by a lock; without it, by the run's ledger alone."""
    without = "two commands that start a run in the same second may both begin; the later one then stops"
    try:
        with (own / "lock").open("w") as first, (own / "lock").open("w") as second:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return group.ok("lock", "locks (flock) work")
    except OSError as error:
        return group.warning("lock", f"locks (flock) do not work: {_words(error)}; {without}", _LOCK_REMEDY)
    return group.warning("lock", f"locks (flock) hold nobody back; {without}", _LOCK_REMEDY)


_LOCK_REMEDY = "nothing, if you start a run from one place; else ask for a mount with locks (Lustre: -o flock)"


def _hdf5(own: Path, group: Group) -> Finding:
    """Shards are HDF5: written as a whole, read without HDF5's own locks."""
    try:
        import h5py
        import numpy as np
    except ImportError:
        remedy = "nothing, where jobs run in an image; else make the environment again: `make environment`"
        return group.warning("hdf5", "HDF5 files were not tried: h5py is not here", remedy)

    path = own / "probe.h5"
    try:
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            file["samples"] = np.arange(16, dtype="<i2")
        path.write_bytes(image.getvalue())
        with h5py.File(path, "r", locking=False) as file:
            is_same = bool((file["samples"][:] == np.arange(16)).all())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        return group.problem("hdf5", f"an HDF5 file cannot be written and read back: {reason}", _ELSEWHERE)
    if not is_same:
        return group.problem("hdf5", "an HDF5 file comes back with another content", _ELSEWHERE)
    return group.ok("hdf5", f"HDF5 files can be written and read back (HDF5 {h5py.version.hdf5_version})")


def _reserve(own: Path, group: Group) -> Finding:
    """A quota does not show in the free space; only taking some of it tells."""
    path, size = own / "reserved", _RESERVED_BYTES
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return group.problem("quota", f"a file of {_amount(size)} cannot be made: {_words(error)}", _MORE_ROOM)
        return group.ok("quota", "whether a quota limits you cannot be tried out on this kind of file system")
    finally:
        path.unlink(missing_ok=True)
    return group.ok("quota", f"a file of {_amount(size)} can be made, so no quota is used up")


_PROBES: tuple[Callable[[Path, Group], Finding], ...] = (_link, _rename, _fsync, _lock, _hdf5, _reserve)


def _room(place: Path, group: Group) -> Finding:
    free = shutil.disk_usage(place).free
    if free < NEEDED_BYTES:
        found = f"only {_amount(free)} are free; a checkpoint may need {_amount(NEEDED_BYTES)}"
        return group.problem("space", found, _MORE_ROOM)
    if free < COMFORTABLE_BYTES:
        return group.warning("space", f"{_amount(free)} are free, which a long run may fill", _MORE_ROOM)
    return group.ok("space", f"{_amount(free)} are free")


def _files(place: Path, group: Group) -> Finding:
    facts = os.statvfs(place)
    if facts.f_files == 0:
        return group.ok("inodes", "this file system does not count files")
    if facts.f_favail < _NEEDED_FILES:
        remedy = "remove files, ask for a larger number of files (inodes), or choose another folder"
        return group.problem("inodes", f"only {facts.f_favail:,} more files can be made", remedy)
    return group.ok("inodes", f"{facts.f_favail:,} more files can be made")


def _umask(place: Path, group: Group) -> Finding:
    mask = _own_umask()
    if mask is None:
        return group.ok("umask", "the umask cannot be read here")
    if mask & 0o700:
        found = f"umask {mask:03o} takes from you the right to your own new files"
        return group.problem("umask", found, "set `umask 022` in your shell's start-up file")
    is_shared = bool(place.stat().st_mode & 0o2000)
    if is_shared and mask & 0o020:
        found = f"the folder is shared with its group (setgid), but umask {mask:03o} lets nobody else write new files"
        return group.warning("umask", found, "set `umask 002` before you start runs that your group shall go on with")
    readers = "only you" if mask & 0o044 == 0o044 else ("you and your group" if mask & 0o004 else "everybody")
    return group.ok("umask", f"umask {mask:03o}: {readers} can read new files")


def _own_umask() -> int | None:
    try:
        found = re.search(r"^Umask:\s*([0-7]+)", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1], 8) if found else None


def _kind(place: Path, group: Group) -> Iterator[Finding]:
    kind = file_system(place)
    if kind in ("tmpfs", "ramfs"):
        found = (
            f"the folder is in this machine's memory ({kind}): a restart empties it, and other machines do not see it"
        )
        yield group.warning("kind", found, "put runs that matter on a disk with root=, run= or data=")
    elif kind:
        yield group.ok("kind", f"file system {kind}")


def file_system(place: Path) -> str:
    """The type of the file system that holds ``place``; empty where the machine does not say."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    # Later mounts cover earlier ones at the same place. A blank is written as \040.
    mounts = [(line.split()[1].replace("\\040", " "), line.split()[2]) for line in lines]
    here = [(len(at), number, kind) for number, (at, kind) in enumerate(mounts) if place.resolve().is_relative_to(at)]
    return max(here)[2] if here else ""


def _amount(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:,.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:,.0f} MiB"
