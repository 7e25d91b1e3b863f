"""The beginning and the end of each attempt's history, without the many steps between, so that `status` is quick."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavenet.run_paths import RunPaths
from wavenet.training.ends import End, Rows, ends_of, first, told

_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Attempt:
    """One process lifetime of a run. ``cause`` is None of the newest one while it has written no end; ``told`` is why
    it was asked to stop, as far as it knew at that moment.
    """

    attempt: int
    host: str
    pid: int
    job_id: str | None
    restart_count: int
    started: str | None
    resumed_step: int
    num_steps: int
    step: int
    loss: float | None
    seconds_per_step: float | None
    """Mean of the last steps."""
    median_seconds: float | None
    """Of the same steps."""
    cause: str | None
    told: str | None


def read_attempts(run: RunPaths) -> list[Attempt]:
    """The run's attempts in their order."""
    files = sorted(run.history.glob("attempt-*.jsonl")) if run.history.is_dir() else []
    attempts = [(int(path.stem.partition("-")[2]), _both_ends(path)) for path in files]
    ends = ends_of(attempts)
    return [_attempt(number, rows, ends[number]) for number, rows in attempts]


def _both_ends(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        head = file.readline()
        file.seek(max(len(head), os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return list(_rows([head, *file.read().split(b"\n")]))


def _attempt(number: int, rows: Rows, end: End | None) -> Attempt:
    start = first(rows, "start")
    steps = [row for row in rows if row["kind"] == "step"]
    resumed = int(start.get("resumed_step", 0))
    return Attempt(
        attempt=number,
        host=str(start.get("host", "?")),
        pid=int(start.get("pid", 0)),
        job_id=start.get("job_id"),
        restart_count=int(start.get("restart_count", 0)),
        started=start.get("time"),
        resumed_step=resumed,
        num_steps=int(start.get("num_steps", 0)),
        step=int(steps[-1]["step"]) if steps else resumed,
        loss=float(steps[-1]["loss"]) if steps else None,
        seconds_per_step=sum(row["seconds"] for row in steps) / len(steps) if steps else None,
        median_seconds=sorted(row["seconds"] for row in steps)[len(steps) // 2] if steps else None,
        cause=None if end is None else end.cause,
        told=told(rows),
    )


def _rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut off by the seek, or by a crash
        if isinstance(row, dict) and "kind" in row:
            yield row
