"""Why a process above rank 0 died, left in a file for rank 0, which alone writes the attempt's history."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass

from wavenet.errors import StorageError
from wavenet.run_paths import RunPaths

_PATIENCE_SECONDS = 3.0  # a connection breaks before the reason is written
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class RankEnd:
    """``cause`` is one word of history, ``host`` where it happened."""

    cause: str
    detail: str
    host: str


def leave(run: RunPaths, attempt: int, rank: int, end: RankEnd) -> None:
    """Write it down; that the disk is full must not hide the reason itself."""
    with contextlib.suppress(OSError, StorageError):
        row = {"cause": end.cause, "detail": end.detail, "host": end.host}
        run.rank_end(attempt, rank).write_text(f"{json.dumps(row)}\n", "utf-8")


def find(run: RunPaths, attempt: int, patience: float = _PATIENCE_SECONDS) -> RankEnd | None:
    """The reason that another process of ``attempt`` has left; None where none has come in time."""
    deadline = time.monotonic() + patience
    while True:
        for path in sorted(run.history.glob(f"attempt-{attempt:04d}.rank-*.end")):
            with contextlib.suppress(OSError, ValueError, KeyError):
                row = json.loads(path.read_text("utf-8").strip().splitlines()[-1])
                return RankEnd(row["cause"], row["detail"], row["host"])
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_SECONDS)
