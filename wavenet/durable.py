"""Write files so that a crash at any instruction leaves the old content or the new, never neither and never half.

The one recipe: write to a temporary name in the same folder, fsync the file, give it its name in one atomic step, fsync
the folder. Errors of the file system become a `StorageError` that names the path and the shortage.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavenet.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and start again",
    errno.EDQUOT: "the disk quota is used up; free some space or ask for more and start again",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "the operation is not permitted; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose a folder that you may write to",
    errno.EIO: "the storage reported an input/output error; see the system's log",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.ENOTEMPTY: "a folder of that name is in the way and cannot be removed; move it away",
    errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
    errno.ESTALE: "the network file system has lost the file; see whether its server was restarted, and start again",
}
_TRIES = 5


@contextlib.contextmanager
def storage_errors(path: str | os.PathLike[str], verb: str = "write") -> Iterator[None]:
    """Turn an `OSError` about storage within the block into a `StorageError` that names ``path`` and the ``verb``.

    An error about another file, such as a recording that the block reads, passes: it is not ``path`` that refused.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES or not _is_about(error, Path(path)):
            raise
        raise StorageError(f"cannot {verb} {os.fspath(path)!r}: {_REMEDIES[error.errno]}") from error


def _is_about(error: OSError, path: Path) -> bool:
    """Whether ``error`` names ``path``, a folder above it or a file in its folder (or nothing, as write(2) does)."""
    if not isinstance(error.filename, (str, bytes)):
        return True
    named = Path(os.fsdecode(error.filename)).absolute()
    path = path.absolute()
    return named == path or named in path.parents or path.parent in named.parents


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: without it a rename may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> Path:
    """Create ``folder`` and its parents where they are missing; raise `StorageError` where that is impossible."""
    with storage_errors(folder):
        missing = [level for level in (folder, *folder.parents) if not level.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StorageError(f"cannot make the folder {str(folder)!r}: a file has that name") from error
        for level in missing:
            sync_folder(level.parent)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove ``folder`` and all in it; what is gone already, or being written by a zombie, is no error."""
    # rmtree lets errors of its own looking and closing pass all the same.
    with contextlib.suppress(OSError):
        shutil.rmtree(folder, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` that no other process uses and that keeps the suffix (encoders look at it)."""
    return path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:12]}.tmp{path.suffix}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without an error, its file becomes ``path`` in one step."""
    make_folder(path.parent)
    temporary = temporary_name(path)
    try:
        with storage_errors(path):
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of ``path``."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` in UTF-8."""
    write_bytes(path, text.encode())


def to_json(value: Any) -> str:
    """JSON that is stable (sorted keys) and valid (NaN is refused: readers in other languages stop at it)."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Replace the content of ``path`` by ``value`` as JSON."""
    write_text(path, to_json(value))


def create_exclusively(path: Path, content: bytes) -> bool:
    """Create ``path`` with ``content`` unless the name is taken; return whether this call created it.

    The complete file is linked to its name, so no reader ever sees a part of it, and of two callers exactly one wins.
    A temporary file that somebody tidied away before it had its name is written again.
    """
    with storage_errors(path):
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):
                return _create_once(path, content)
    raise StorageError(f"cannot write {str(path)!r}: its folder is gone, or something removes the files in it")


def _create_once(path: Path, content: bytes) -> bool:
    temporary = temporary_name(path)
    try:
        temporary.write_bytes(content)
        sync_file(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # A lost reply of a network file system makes link() report this although it was done: the inodes tell.
            if not os.path.samestat(temporary.stat(), path.stat()):
                return False
        sync_folder(path.parent)
        return True
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
