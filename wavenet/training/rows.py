"""The rows of a history file: what a line says, and which rows of an attempt its successor still counts. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]
Rows = Sequence[Row]


def parse(lines: Iterable[bytes]) -> Iterator[Row]:
    """What each line says; one that a crash or a reader's own seek has cut off is passed over."""
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "kind" in row:
            yield row


def first(rows: Iterable[Row], kind: str) -> Row:
    """The first row of that kind; empty where there is none."""
    return next((row for row in rows if row["kind"] == kind), {})


def last(rows: Rows, kind: str) -> Row:
    """The last row of that kind; empty where there is none."""
    return first(reversed(rows), kind)


def fence(start: Row) -> tuple[int, int] | None:
    """Of an attempt's first row: the number of the attempt that it overtook, and how many bytes of its file count.

    What such an attempt writes later, on a node that was cut off, counts for nothing.
    """
    overtaken = start.get("overtook")
    return (int(overtaken["attempt"]), int(overtaken["bytes"])) if overtaken else None


def starts_after(attempts: Sequence[Rows]) -> list[Row | None]:
    """Of each attempt the first row of the one after it; None of the newest."""
    return [first(rows, "start") for rows in attempts[1:]] + [None] * bool(attempts)


def newest_up_to(rows: Iterable[Row], step: int, key: str) -> Row:
    """The last row with ``key`` that was written before ``step`` was left behind; empty where there is none."""
    found: Row = {}
    for row in rows:
        if row.get("step", 0) > step:
            break
        if key in row:
            found = row
    return found
