"""Slurm's way of writing durations and moments."""

from __future__ import annotations

from datetime import datetime


def seconds_of(duration: str) -> int | None:
    """Seconds of ``[days-]hours:minutes:seconds``; None for words such as UNLIMITED."""
    days, _, clock = duration.rpartition("-")
    parts = clock.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in (days or "0", *parts)):
        return None
    hours, minutes, seconds = map(int, parts)
    return ((24 * int(days or 0) + hours) * 60 + minutes) * 60 + seconds


def moment_of(time_of_day: str) -> float | None:
    """Seconds since 1970 of ``2026-11-22T23:50:41``, which is in the machine's time zone; None for words such as
    Unknown.
    """
    try:
        return datetime.fromisoformat(time_of_day).timestamp()
    except ValueError:
        return None
