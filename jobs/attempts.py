"""The beginning and the end of each attempt's history, without the many steps between, so that `status` is quick."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wavenet.run_paths import RunPaths
from wavenet.training.ends import End, ends_of, told
from wavenet.training.rows import Row, Rows, fence, first, newest_up_to, parse, starts_after
from wavenet.training.spent import Spent, Stalls, kept_steps, spent_of, stalls_of

_HEAD_BYTES = 2048  # of the rows after the first one, up to the first step's
_TAIL_BYTES = 8192  # of the newest attempt, whose speed is told
_SHORT_TAIL_BYTES = 4096
_BLOCK_BYTES = 4096  # longer than any row that may stand between two steps


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
    lost_steps: int
    """Made, and to be made again."""
    damages: list[str]
    """Checkpoints that it found damaged and set aside."""
    spent: Spent
    stalls_before: Stalls | None
    """Of all commits of the run before this attempt."""


@dataclass(frozen=True)
class _Ends:
    """First and last rows of an attempt's file; of the rows, only those before byte ``end`` count."""

    number: int
    path: Path
    rows: Rows
    num_head: int
    """How many of them stand at the file's beginning."""
    end: int


def read_attempts(run: RunPaths) -> list[Attempt]:
    """The run's attempts in their order."""
    files = sorted(run.history.glob("attempt-*.jsonl")) if run.history.is_dir() else []
    found = _both_ends(files)
    ends = ends_of((one.number, one.rows) for one in found)
    kept = kept_steps([_resumed(one.rows) for one in found])
    following = starts_after([one.rows for one in found])
    return [
        _attempt(one, ends[one.number], step, start) for one, step, start in zip(found, kept, following, strict=True)
    ]


def _both_ends(files: Sequence[Path]) -> list[_Ends]:
    """The newest file first: it tells how much counts of the one before it."""
    found: list[_Ends] = []
    counted: dict[int, int] = {}
    for path in reversed(files):
        number = int(path.stem.partition("-")[2])
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            end = min(size, counted.get(number, size))
            head = file.readline()[:end]
            begun = len(head)
            tail = max(begun, end - (_SHORT_TAIL_BYTES if found else _TAIL_BYTES))
            first_rows = file.read(min(_HEAD_BYTES, tail - begun))
            file.seek(tail)
            begin = list(parse([head, *first_rows.split(b"\n")]))
            rows = [*begin, *parse(file.read(end - tail).split(b"\n"))]
        if rows:
            found.append(_Ends(number, path, rows, len(begin), end))
        counted.update([fenced] if (fenced := fence(first(rows, "start"))) else [])
    return found[::-1]


def _resumed(rows: Rows) -> int:
    return int(first(rows, "start").get("resumed_step", 0))


def _attempt(one: _Ends, end: End | None, kept: int | None, following: Row | None) -> Attempt:
    start = first(one.rows, "start")
    steps = _steps(one.rows)
    last = _steps(one.rows[one.num_head :]) or steps
    resumed = _resumed(one.rows)
    last_step = int(steps[-1]["step"]) if steps else resumed
    counted = last_step if kept is None else min(last_step, max(kept, resumed))
    return Attempt(
        attempt=one.number,
        host=str(start.get("host", "?")),
        pid=int(start.get("pid", 0)),
        job_id=start.get("job_id"),
        restart_count=int(start.get("restart_count", 0)),
        started=start.get("time"),
        resumed_step=resumed,
        num_steps=int(start.get("num_steps", 0)),
        step=last_step,
        loss=float(steps[-1]["loss"]) if steps else None,
        seconds_per_step=sum(row["seconds"] for row in last) / len(last) if last else None,
        median_seconds=sorted(row["seconds"] for row in last)[len(last) // 2] if last else None,
        cause=None if end is None else end.cause,
        told=told(one.rows),
        lost_steps=last_step - counted,
        damages=start.get("damages", []),
        spent=spent_of(one.rows, _row_up_to(one, counted), following),
        stalls_before=stalls_of(start),
    )


def _steps(rows: Rows) -> Rows:
    return [row for row in rows if row["kind"] == "step"]


def read_stalls(run: RunPaths, newest: Attempt | None, saved_step: int) -> Stalls | None:
    """Of all commits of the run, as the row of the newest one tells that ``newest`` made; None before any."""
    if newest is None:
        return None
    row: Row = {}
    if saved_step > newest.resumed_step:
        path = run.attempt_history(newest.attempt)
        with path.open("rb") as file:
            row = _search(file, os.fstat(file.fileno()).st_size, saved_step, "stalls")
    return stalls_of(row) or newest.stalls_before


def _row_up_to(one: _Ends, step: int) -> Row:
    """`newest_up_to` of the whole file, of which a few blocks are read."""
    begin = next((row["step"] for row in one.rows[one.num_head :] if row["kind"] == "step"), 0)
    if begin <= step:
        return newest_up_to(one.rows, step, "spent")
    with one.path.open("rb") as file:
        return _search(file, one.end, step, "spent")


def _search(file: BinaryIO, high: int, step: int, key: str) -> Row:
    """By bisection: the steps of a file ascend."""
    low = begin = len(file.readline())
    while high - low > _BLOCK_BYTES:
        middle = (low + high) // 2
        there = next(
            (row["step"] for row in _block(file, middle, middle + _BLOCK_BYTES) if row["kind"] == "step"), None
        )
        if there is None or there > step:
            high = middle
        else:
            low = middle
    # A block begins in the middle of a row, which is passed over: the row that is looked for may stand before.
    return newest_up_to(_block(file, max(begin, low - _BLOCK_BYTES), high + _BLOCK_BYTES), step, key)


def _block(file: BinaryIO, begin: int, end: int) -> list[Row]:
    file.seek(begin)
    return list(parse(file.read(end - begin).split(b"\n")))
