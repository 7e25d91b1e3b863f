"""Take out one thing that makes commits safe. A harness that then finds nothing proves nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tests.crashes.power import Skips
from wavenet import durable
from wavenet.checkpoint import held, store
from wavenet.checkpoint.ledger import Ledger

SYNCS: dict[str, Skips] = {
    "bytes of a checkpoint's files": lambda call: call.paths[0].parent.name.startswith("step-"),
    "names in a checkpoint": lambda call: call.paths[0].name.startswith("step-"),
    "names of checkpoints": lambda call: call.paths[0].name == "checkpoints",
    "bytes of a ledger entry": lambda call: call.paths[0].parent.name == "ledger",
    "names of ledger entries": lambda call: call.paths[0].name == "ledger",
    "names in the run folder": lambda call: (call.paths[0] / "ledger").is_dir(),
    "the run folder's own name": lambda call: call.paths[0].name == "disk",
}
"""Every kind of fsync that an attempt issues."""


def _link_over(path: Path, content: bytes) -> bool:
    durable.write_bytes(path, content)
    return True


def _write_straight(path: Path, content: bytes) -> bool:
    """Exclusive, but in place: a reader, or a crash, may see a part of it."""
    with contextlib.suppress(FileExistsError), path.open("xb") as file:
        file.write(content)
        os.fsync(file.fileno())
        durable.sync_folder(path.parent)
        return True
    return False


def _move_by_name(folder: held.HeldFolder, other: Path) -> None:
    with contextlib.suppress(OSError):
        folder.path.rename(other)


def _nothing(*arguments: object) -> None:
    pass


CHANGES: dict[str, Callable[[], None]] = {
    "no fsync of files": lambda: setattr(durable, "sync_file", _nothing),
    "no fsync of folders": lambda: setattr(durable, "sync_folder", _nothing),
    "a ledger number may be taken twice": lambda: setattr(durable, "create_exclusively", _link_over),
    "ledger entries written in place": lambda: setattr(durable, "create_exclusively", _write_straight),
    "no tidying of the ledger": lambda: setattr(Ledger, "tidy", _nothing),
    "no tidying of checkpoints": lambda: setattr(store, "_remove_leftovers", _nothing),
    "damaged checkpoints set aside by name": lambda: setattr(held.HeldFolder, "move_to", _move_by_name),
}
"""What the code is without: applied to this process, and so to the writers that it forks."""
