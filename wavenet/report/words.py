"""Numbers and times as a reader of the page wants them."""

from __future__ import annotations

import math
from datetime import datetime, timezone


def count(number: int, noun: str) -> str:
    """``1 recording``, ``12,000 recordings``."""
    plural = noun if number == 1 else f"{noun}s"
    return f"{number:,} {plural}"


def duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``7 h 31 min``, ``3 d 04 h``."""
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def hours(value: float) -> str:
    """Hours of audio: ``38 s``, ``14 min``, ``2.5 h``, ``130 h``."""
    if value * 60 < 1:
        return f"{value * 3600:.0f} s"
    if value < 1:
        return f"{value * 60:.3g} min"
    return f"{value:.1f} h" if value < 100 else f"{value:,.0f} h"


def size(num_bytes: int) -> str:
    """``812 B``, ``14 kB``, ``2.3 MB``."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    if num_bytes < 1_000_000:
        return f"{num_bytes / 1000:.0f} kB"
    return f"{num_bytes / 1_000_000:.1f} MB"


def moment(time: datetime | None) -> str:
    """``2026-03-01 14:05 UTC``, a dash for None."""
    return "–" if time is None else time.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def bits(nats: float) -> float:
    return nats / math.log(2)
