"""Slurm's way of writing durations."""

from __future__ import annotations


def minutes(duration: str) -> int | None:
    """Whole minutes of ``[days-]hours:minutes:seconds``; None for words such as UNLIMITED."""
    days, _, clock = duration.rpartition("-")
    parts = clock.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in (days or "0", *parts)):
        return None
    hours, rest, _ = map(int, parts)
    return (24 * int(days or 0) + hours) * 60 + rest
