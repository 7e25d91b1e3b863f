"""Things that take minutes to make and are the same every time: made once, kept outside the checkout.

A thing is a folder named by its kind and by a digest of what it is made from. It is made under another name and renamed
when it is complete, so that whatever ends the making leaves nothing that looks made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from containers.programs import run

_UNFINISHED = ".part"


def default_folder() -> Path:
    """Where things are kept if nobody says otherwise."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "wavenet-exploration"


def digest_of(*texts: str | bytes) -> str:
    """Sixteen letters that stand for these texts, in this order."""
    digest = hashlib.sha256()
    for text in texts:
        content = text if isinstance(text, bytes) else text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def kept(folder: Path, kind: str, digest: str, make: Callable[[Path], None], *, is_only: bool = False) -> Path:
    """The thing, made now by ``make(empty folder)`` if it is not there.

    Whoever wants it while another makes it waits for that one.

    Args:
        is_only: others of its kind are removed once it is made.
    """
    place = folder / f"{kind}-{digest}"
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{kind}.lock"):
        if place.exists():
            return place
        for left in folder.glob(f"{kind}-*{_UNFINISHED}"):  # by one that was killed: we hold the lock
            remove(left)
        unfinished = place.with_name(place.name + _UNFINISHED)
        unfinished.mkdir()
        try:
            make(unfinished)
        except BaseException:
            remove(unfinished)
            raise
        unfinished.rename(place)
        for other in folder.glob(f"{kind}-*") if is_only else ():
            if other != place:
                remove(other)
    return place


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder of ours, with all that is in it."""
    # A root may have had file systems mounted in it, which are not ours to empty.
    run(["rm", "-r", "--one-file-system", str(folder)])
