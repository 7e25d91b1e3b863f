"""How each attempt of a run ended, from the rows that it and its successor wrote. No torch, and no files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class End:
    """Why an attempt ended. ``time`` is None where it wrote no end, ``last_step`` where no successor looked for it."""

    cause: str
    detail: str = ""
    time: str | None = None
    last_step: int | None = None


def ends_of(attempts: Iterable[tuple[int, Rows]]) -> dict[int, End | None]:
    """The end of each attempt by its number; None of a newest one that has written none, for it may be running.

    What a successor found out comes first: it found no end, so that one which is there now was written by a process
    that had been overtaken. Where neither is there, why the attempt was told to stop is the likeliest reason.
    """
    attempts = list(attempts)
    found = {lost["attempt"]: _found(lost) for _, rows in attempts if (lost := first(rows, "start").get("lost"))}
    newest = max((number for number, _ in attempts), default=0)
    return {number: found.get(number) or _written(rows, is_newest=number == newest) for number, rows in attempts}


def _found(lost: dict[str, Any]) -> End:
    return End(lost["cause"], lost["detail"], last_step=lost["last_step"])


def _written(rows: Rows, *, is_newest: bool) -> End | None:
    end = last(rows, "end")
    if end:
        return End(end["cause"], end.get("detail", ""), end["time"])
    return None if is_newest else End(told(rows) or "crash")


def told(rows: Rows) -> str | None:
    """Why an attempt was asked to stop, as far as it knew; None where nobody asked."""
    return last(rows, "told").get("cause")


def first(rows: Iterable[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The first row of that kind; empty where there is none."""
    return next((row for row in rows if row["kind"] == kind), {})


def last(rows: Rows, kind: str) -> dict[str, Any]:
    """The last row of that kind; empty where there is none."""
    return first(reversed(rows), kind)
