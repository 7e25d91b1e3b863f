"""How each attempt of a run ended, from the rows that it and its successor wrote. No torch, and no files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wavenet.training.rows import Rows, first, last


@dataclass(frozen=True)
class End:
    """Why an attempt ended. ``time`` is None where it wrote no end."""

    cause: str
    detail: str = ""
    time: str | None = None


def ends_of(attempts: Iterable[tuple[int, Rows]]) -> dict[int, End | None]:
    """The end of each attempt by its number; None of a newest one that has written none, for it may be running.

    Where it wrote none before it was overtaken, its successor has found out what became of it. Where neither is there,
    why the attempt was told to stop is the likeliest reason.
    """
    attempts = list(attempts)
    found = {lost["attempt"]: _found(lost) for _, rows in attempts if (lost := first(rows, "start").get("lost"))}
    newest = max((number for number, _ in attempts), default=0)
    return {
        number: _written(rows) or found.get(number) or _likeliest(rows, number == newest) for number, rows in attempts
    }


def _found(lost: dict[str, Any]) -> End:
    return End(lost["cause"], lost["detail"])


def _written(rows: Rows) -> End | None:
    end = last(rows, "end")
    return End(end["cause"], end.get("detail", ""), end["time"]) if end else None


def _likeliest(rows: Rows, is_newest: bool) -> End | None:
    return None if is_newest else End(told(rows) or "crash")


def told(rows: Rows) -> str | None:
    """Why an attempt was asked to stop, as far as it knew; None where nobody asked."""
    return last(rows, "told").get("cause")
